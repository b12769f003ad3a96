"""Findings of a report: what was compared, by how much it differs, and whether the data can say so.

The figures are over all questions of the pool, whatever their metric, so the unit is points of quality, 1/100
of its range.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from laserve.lab.output import counted
from laserve.lab.replay.estimates import Estimates
from laserve.lab.replay.learners import BLENDING, BLIND
from laserve.lab.replay.learning import BLEND, FULL
from laserve.lab.replay.outcomes import ENSEMBLE_MEAN, ENSEMBLE_RANK
from laserve.lab.report.limits import described, limits
from laserve.lab.report.study import Study
from laserve.lab.statistics import Interval
from laserve.types import Vector

_WHOLE, _LATE = "whole run", "last third"


@dataclass(frozen=True, kw_only=True)
class Comparison(Interval):
    """Mean quality of the answers of one policy minus that of another, in -1..1."""

    of: str
    against: str
    #: Part of the run.
    over: str
    #: "more" or "less" where the interval excludes 0, "equal" where the answers are always equally good;
    #: otherwise that one cannot say; and the number of sources.
    verdict: str


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The comparisons on one subject, and what is to be known with them."""

    about: str
    comparisons: tuple[Comparison, ...]
    says: str = ""


@dataclass(frozen=True, kw_only=True)
class _Evidence:
    study: Study
    whole: Estimates
    late: Estimates

    @property
    def learner(self) -> str:
        return self.study.plan.learners[0]

    @property
    def full(self) -> str:
        return self.learner + FULL.suffix

    @property
    def single(self) -> str:
        return f"the best single arm, {self.whole.best_arm}"

    def above_single(self, policy: str) -> tuple[Comparison, ...]:
        """A policy against the best single arm, over the whole run and its last third."""
        parts = ((self.whole, _WHOLE), (self.late, _LATE))
        return tuple(
            _compared(of, of.chosen(of.kept_single), self.single, {policy: of.quality(policy)}, over)[0]
            for of, over in parts
        )


def findings(study: Study) -> list[Finding]:
    """All findings, in order."""
    outcomes, rows = study.whole.outcomes, study.whole.table.where()
    evidence = _Evidence(
        study=study, whole=Estimates(outcomes, rows), late=Estimates(outcomes, rows, late=True)
    )
    subjects: Sequence[Callable[[_Evidence], Finding]] = (_room, _full, _partial, _context, _combining)
    return [subject(evidence) for subject in subjects]


def verdict(one: Interval) -> str:
    """What an interval of a difference says."""
    sources = counted(one.sources, "source")
    if one.low is None or one.high is None:
        return f"cannot say: no interval from {sources}"
    if one.low > 0 or one.high < 0:
        return f"{'more' if one.low > 0 else 'less'}, with {sources}"
    if one.low == one.high:
        return f"equal, with {sources}"
    return f"cannot say with {sources}"


def _room(evidence: _Evidence) -> Finding:
    of = evidence.whole
    kept = _compared(
        of,
        of.chosen(of.kept_single),
        evidence.single,
        {"the best arm of each task": of.chosen(of.kept_of_task)},
    )
    crossed = _compared(
        of,
        of.chosen(of.crossed_single),
        "the best single arm, chosen on other sources",
        {"the best arm of each task, chosen on other sources": of.chosen(of.crossed_of_task)},
    )
    alone = [task or "all tasks" for task, count in of.crossed_of_task.folds.items() if count == 1]
    note = f" One source alone chooses and values the arm of {', '.join(alone)}." if alone else ""
    return Finding(
        about="Room for choosing: best single arm against best arm of each task",
        comparisons=(*kept, *crossed),
        says=described(limits(evidence.study.whole.table)) + note,
    )


def _full(evidence: _Evidence) -> Finding:
    of = evidence.late
    single = of.chosen(of.crossed_single)
    share = of.share(of.quality(evidence.full) - single, of.chosen(of.crossed_of_task) - single)
    says = f"Arms chosen on other sources show no room of which {evidence.full} could win a share."
    if share is not None:
        bounds = "no interval"
        if share.low is not None and share.high is not None:
            bounds = f"{share.low:.0%} to {share.high:.0%}"
        says = (
            f"In the last third {evidence.full} wins {share.value:.0%} ({bounds}) of what the best arm of "
            "each task wins over the best single arm, both chosen on other sources."
        )
    return Finding(
        about="Learning from every arm's reward on a share of requests",
        comparisons=evidence.above_single(evidence.full),
        says=says,
    )


def _partial(evidence: _Evidence) -> Finding:
    return Finding(
        about="Learning from the answer's own reward", comparisons=evidence.above_single(evidence.learner)
    )


def _context(evidence: _Evidence) -> Finding:
    of, learner = evidence.whole, evidence.learner
    return Finding(
        about="What the context adds",
        comparisons=tuple(
            one
            for suffix in ("", FULL.suffix)
            for one in _compared(
                of,
                of.quality(learner + BLIND + suffix),
                learner + BLIND + suffix,
                {learner + suffix: of.quality(learner + suffix)},
            )
        ),
    )


def _combining(evidence: _Evidence) -> Finding:
    of, single = evidence.whole, evidence.whole.chosen(evidence.whole.kept_single)
    blending = evidence.learner + BLENDING + FULL.suffix
    blend = {BLEND: of.quality(BLEND)}
    return Finding(
        about="Combining arms",
        comparisons=(
            *_compared(of, single, evidence.single, blend),
            *_compared(of, of.quality(ENSEMBLE_MEAN), ENSEMBLE_MEAN, blend),
            *_compared(of, of.quality(ENSEMBLE_RANK), ENSEMBLE_RANK, blend),
            *_compared(of, single, evidence.single, {blending: of.quality(blending)}),
        ),
    )


def _compared(
    of: Estimates, rival: Vector, against: str, policies: Mapping[str, Vector], over: str = _WHOLE
) -> list[Comparison]:
    return [
        Comparison(**vars(one), of=name, against=against, over=over, verdict=verdict(one))
        for name, one in of.differences(policies, rival).items()
    ]
