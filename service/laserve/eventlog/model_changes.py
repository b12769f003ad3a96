"""What the service works with now beside what the log last knew of it; a difference is an event."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from laserve.bandit.state.changes import Subject
from laserve.bandit.state.fold import BanditState
from laserve.config import ArmSettings, GenerationSettings
from laserve.generation.fingerprint import generator_fingerprint, template_fingerprint
from laserve.scoring.fingerprint import arm_fingerprint
from laserve.types import Event

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Fingerprints:
    """What candidates and scores come from now; None, or no entry, where that cannot be known."""

    generator: str | None = None
    template: str | None = None
    #: Arm -> its reward model's.
    arms: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def shared(self) -> dict[Subject, str]:
        """Those that all arms depend on."""
        told: dict[Subject, str | None] = {"generator": self.generator, "template": self.template}
        return {what: found for what, found in told.items() if found is not None}


def take_fingerprints(
    generation: GenerationSettings, configured: Iterable[ArmSettings], state: BanditState
) -> Fingerprints:
    """Those of the configured parts, and of the arms that the log alone has. Reads files.

    What is retired is left out, since it is looked at when it is enabled again.
    """
    arms = {arm.name: arm_fingerprint(arm.kind, arm.options) for arm in configured}
    for name, arm in state.arms.items():
        if name not in arms and arm.settings is not None and arm.status != "retired":
            arms[name] = arm_fingerprint(str(arm.settings.get("kind")), arm.settings.get("options") or {})
    return Fingerprints(
        generator=generator_fingerprint(generation), template=template_fingerprint(), arms=arms
    )


def changes(state: BanditState, now: Fingerprints, *, kept: float) -> list[Event]:
    """An event for each part that is another than the log knows.

    Of a part that the log has never known, as those of older versions, it is only noted what it is.

    Args:
        kept: share of what was learned that a change keeps, in [0, 1].
    """
    found = [
        _change(what, None, state.fingerprints.get(what), after, kept) for what, after in now.shared.items()
    ]
    found += [
        _change("arm", name, state.arms[name].fingerprint, after, kept)
        for name, after in now.arms.items()
        if name in state.arms and after is not None
    ]
    return [event for event in found if event.body["before"] != event.body["after"]]


def tell(events: Iterable[Event]) -> None:
    """Say in the service's own log what has changed."""
    for event in events:
        if event.kind == "change" and event.body["before"] is not None:
            body = event.body
            name = f"arm {body['arm']}: its reward model" if body["what"] == "arm" else f"the {body['what']}"
            logger.warning(
                "%s is another than before (%s, was %s); %g%% of what was learned of %s is kept",
                name,
                body["after"],
                body["before"],
                100 * body["kept"],
                "it" if body["what"] == "arm" else "all arms",
            )


def _change(what: Subject, arm: str | None, before: str | None, after: str, kept: float) -> Event:
    body = {"what": what, "before": before, "after": after, "kept": 1.0 if before is None else kept}
    return Event(kind="change", created_at=0.0, body=body | ({} if arm is None else {"arm": arm}))
