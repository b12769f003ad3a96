from collections.abc import Iterable
from functools import partial

from builders import make_arm_event, make_change, make_start
from laserve.bandit.state.fold import BanditState
from laserve.config import ArmSettings, GenerationSettings
from laserve.eventlog.model_changes import Fingerprints, change_events, take_fingerprints
from laserve.generation.fingerprint import generator_fingerprint, template_fingerprint
from laserve.scoring.fingerprint import arm_fingerprint
from laserve.types import Event

GENERATION = GenerationSettings(kind="fake", model="fake")


def state(*events: Event) -> BanditState:
    made = BanditState()
    for position, event in enumerate([make_start(prior_diagonal=[1.0]), *events], start=1):
        made.apply(Event(**vars(event) | {"position": position}))
    return made


def arm(name: str, **settings: object) -> Event:
    event = make_arm_event(0, name, [0.5])
    return Event(**vars(event) | {"body": dict(event.body) | settings})


def taken(
    known: BanditState, configured: Iterable[ArmSettings] = (), generation: GenerationSettings = GENERATION
) -> Fingerprints:
    return take_fingerprints(
        known,
        generator=partial(generator_fingerprint, generation),
        template=template_fingerprint,
        arm=arm_fingerprint,
        configured=configured,
    )


def test_an_arm_that_the_log_alone_has_is_looked_at_by_its_settings_there() -> None:
    added = {"kind": "fake", "options": {"salt": "b"}, "timeout_s": 3.0}
    configured = [ArmSettings(name="one", kind="fake", options={"salt": "a"})]
    fingerprints = taken(state(arm("one"), arm("new", settings=added), arm("gone")), configured)
    assert fingerprints.arms == {
        "one": arm_fingerprint("fake", {"salt": "a"}),
        "new": arm_fingerprint("fake", {"salt": "b"}),
    }


def test_a_retired_arm_is_looked_at_when_it_is_enabled() -> None:
    added = {"kind": "fake", "options": {}}
    retired = Event(kind="arm_state", created_at=1.0, body={"name": "new", "state": "retired"})
    assert taken(state(arm("new", settings=added), retired)).arms == {}


def test_the_generator_and_its_template_are_always_known_where_their_files_are() -> None:
    shared = taken(state()).shared
    assert shared.keys() == {"generator", "template"}
    gone = GenerationSettings(kind="vllm", model="/no/such/folder")
    assert taken(state(), generation=gone).shared.keys() == {"template"}


def test_arms_that_the_log_does_not_have_are_no_change() -> None:
    assert change_events(state(), Fingerprints(arms={"new": "a"}), kept=0.5) == []


def test_several_changes_are_an_event_each() -> None:
    known = state(arm("one", fingerprint="a"), make_change(what="template", after="t1"))
    events = change_events(known, Fingerprints(generator="g", template="t2", arms={"one": "b"}), kept=0.25)
    assert [(event.body["what"], event.body["before"], event.body["kept"]) for event in events] == [
        ("generator", None, 1.0),
        ("template", "t1", 0.25),
        ("arm", "a", 0.25),
    ]
