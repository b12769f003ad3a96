"""Events that a model was replaced, and how much weight earlier decisions keep.

Rewards learned with one model say less about the model that replaces it. So a change is an event, which keeps
a share of the sums of the arms concerned: all arms where the generator or its prompt template was replaced,
one arm where its reward model was. The priors of these arms stay whole, so their widths grow.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from laserve.errors import CorruptLog
from laserve.types import Event

Subject = Literal["generator", "template", "arm"]
SUBJECTS: tuple[Subject, ...] = get_args(Subject)
#: Arms -> share of a decision's weight that changes keep for these arms, in [0, 1]; None stands for all arms.
KeptShare = Callable[[Collection[str] | None], float]


@dataclass(frozen=True, kw_only=True)
class Change:
    """Replacement of the generator, its template or a reward model."""

    what: Subject
    #: The arm whose reward model was replaced; None for the generator and the template.
    arm: str | None
    #: Fingerprint before; None where the log knew none.
    before: str | None
    #: Fingerprint after.
    after: str
    #: Share of the learned sums that the change keeps, in [0, 1].
    kept: float
    #: Position of the event in the log.
    position: int
    #: Number of decisions learned before the change.
    decisions: int

    @classmethod
    def of(cls, event: Event, decisions: int) -> "Change":
        """The change in an event's body. Raises CorruptLog when the body describes no change."""
        body = event.body
        what, arm, kept = body.get("what"), body.get("arm"), body.get("kept")
        if what not in SUBJECTS or (what == "arm") != (arm is not None):
            raise CorruptLog(f"event {event.position} changes {what!r} of arm {arm!r}")
        if not isinstance(kept, int | float) or not 0 <= kept <= 1:
            raise CorruptLog(f"event {event.position} keeps {kept!r} of what was learned")
        return cls(
            what=what,
            arm=arm,
            before=body.get("before"),
            after=body["after"],
            kept=float(kept),
            position=event.position,
            decisions=decisions,
        )

    @property
    def replaces(self) -> bool:
        """Whether the event replaces something; the first event only notes the fingerprint in use."""
        return self.before is not None or self.kept < 1.0

    def concerns(self, arms: Collection[str] | None) -> bool:
        """Whether the change decays the sums of any of these arms; None stands for all arms."""
        return self.arm is None or arms is None or self.arm in arms


def all_kept(arms: Collection[str] | None) -> float:
    """The share without any change, 1."""
    return 1.0


@dataclass(kw_only=True)
class Changes:
    """All changes, in the order of the log."""

    made: list[Change] = field(default_factory=list)

    def copy(self) -> "Changes":
        return Changes(made=list(self.made))

    def kept_share(self, ordinal: int, arms: Collection[str] | None) -> float:
        """Share of the weight of one learned decision that the changes keep, in [0, 1].

        Args:
            ordinal: number of the learned decision, from 1; 0 for a decision before all changes.
            arms: the arms that the weight belongs to; None for a weight that depends on every arm.
        """
        share = 1.0
        for change in self.made:
            if change.decisions >= ordinal and change.concerns(arms):
                share *= change.kept
        return share

    @classmethod
    def from_json(cls, body: Iterable[Mapping[str, Any]]) -> "Changes":
        return cls(made=[Change(**each) for each in body])

    def to_json(self) -> list[dict[str, Any]]:
        return [vars(change) for change in self.made]
