"""Changes of the generator, its template or a reward model, and the weight that earlier decisions keep.

Rewards that were learned of one model say less of another in its place. So a change is an event, which keeps
a share of what was learned of the arms that it is about: of all of them where the generator or its prompt is
another, of one where a reward model is. Their models' priors stay whole, so their widths grow.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from laserve.errors import CorruptLog
from laserve.types import Event

Subject = Literal["generator", "template", "arm"]
SUBJECTS: tuple[Subject, ...] = get_args(Subject)
#: Arms -> what changes have left of what a decision says of them, in [0, 1]; None is of all that there are.
Left = Callable[[Collection[str] | None], float]


@dataclass(frozen=True, kw_only=True)
class Change:
    """Another generator, template or reward model than before."""

    what: Subject
    #: The arm whose reward model it is; None for what all arms depend on.
    arm: str | None
    #: Fingerprints; None before anything was known.
    before: str | None
    after: str
    #: Share of what was learned that is kept, in [0, 1].
    kept: float
    #: Of the event.
    position: int
    #: Decisions learned before it.
    decisions: int

    @classmethod
    def of(cls, event: Event, decisions: int) -> "Change":
        """Raises CorruptLog when the event tells no change."""
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
        """Whether it says more than what was there when the log first asked."""
        return self.before is not None or self.kept < 1.0

    def concerns(self, arms: Collection[str] | None) -> bool:
        """Whether it wears what was learned of any of these arms; None is of whichever."""
        return self.arm is None or arms is None or self.arm in arms


def whole(arms: Collection[str] | None) -> float:
    """Nothing has changed."""
    return 1.0


@dataclass(kw_only=True)
class Changes:
    """All changes, in the order of the log."""

    made: list[Change] = field(default_factory=list)

    def copy(self) -> "Changes":
        return Changes(made=list(self.made))

    def left(self, ordinal: int, arms: Collection[str] | None) -> float:
        """What changes have left of the weight of one learned decision, in [0, 1].

        Args:
            ordinal: which of the learned decisions, 1 for the first; 0 for one before all changes.
            arms: those that the weight is about; None for something that depends on every arm.
        """
        left = 1.0
        for change in self.made:
            if change.decisions >= ordinal and change.concerns(arms):
                left *= change.kept
        return left

    @classmethod
    def from_json(cls, told: Iterable[Mapping[str, Any]]) -> "Changes":
        return cls(made=[Change(**each) for each in told])

    def to_json(self) -> list[dict[str, Any]]:
        return [vars(change) for change in self.made]
