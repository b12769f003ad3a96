"""Fingerprints of the generator, its template and the reward models, and the events of their changes."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from laserve.bandit.state.changes import Subject
from laserve.bandit.state.fold import BanditState
from laserve.config import ArmSettings
from laserve.types import Event

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Fingerprints:
    """Fingerprints of the parts in use; None, or no entry, where a part has no fingerprint."""

    generator: str | None = None
    template: str | None = None
    #: Arm -> the fingerprint of its reward model.
    arms: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def shared(self) -> dict[Subject, str]:
        """Fingerprints of the parts that all arms depend on."""
        both: dict[Subject, str | None] = {"generator": self.generator, "template": self.template}
        return {what: fingerprint for what, fingerprint in both.items() if fingerprint is not None}


def take_fingerprints(
    state: BanditState,
    *,
    generator: Callable[[], str | None],
    template: Callable[[], str | None],
    arm: Callable[[str, Mapping[str, Any]], str | None],
    configured: Iterable[ArmSettings],
) -> Fingerprints:
    """Fingerprints of the configured parts, and of the arms that only the log has.

    Retired arms are left out: their fingerprints are taken when they are enabled again.

    Args:
        generator: takes the generator's fingerprint; it may read files, as the other two may.
        template: takes the fingerprint of the prompt's template.
        arm: takes the fingerprint of a reward model, by its arm's kind and options.
    """
    arms = {each.name: arm(each.kind, each.options) for each in configured}
    for name, logged in state.arms.items():
        if name not in arms and logged.settings is not None and logged.status != "retired":
            arms[name] = arm(str(logged.settings.get("kind")), logged.settings.get("options") or {})
    return Fingerprints(generator=generator(), template=template(), arms=arms)


def change_events(state: BanditState, now: Fingerprints, *, kept: float) -> list[Event]:
    """An event for each part whose fingerprint differs from the one in the log.

    The first fingerprint of a part keeps all that was learned; logs of older versions have no fingerprints.

    Args:
        kept: share of the learned evidence that a change keeps, in [0, 1].
    """
    events = [
        _event(what, None, state.fingerprints.get(what), after, kept) for what, after in now.shared.items()
    ]
    events += [
        _event("arm", name, state.arms[name].fingerprint, after, kept)
        for name, after in now.arms.items()
        if name in state.arms and after is not None
    ]
    return [event for event in events if event.body["before"] != event.body["after"]]


def log_changes(events: Iterable[Event]) -> None:
    """Log a warning for each change among the events."""
    for event in events:
        if event.kind == "change" and event.body["before"] is not None:
            body = event.body
            name = f"arm {body['arm']}: its reward model" if body["what"] == "arm" else f"the {body['what']}"
            logger.warning(
                "%s has changed (%s, was %s); %g%% of what was learned of %s is kept",
                name,
                body["after"],
                body["before"],
                100 * body["kept"],
                "it" if body["what"] == "arm" else "all arms",
            )


def _event(what: Subject, arm: str | None, before: str | None, after: str, kept: float) -> Event:
    body = {"what": what, "before": before, "after": after, "kept": 1.0 if before is None else kept}
    return Event(kind="change", created_at=0.0, body=body | ({} if arm is None else {"arm": arm}))
