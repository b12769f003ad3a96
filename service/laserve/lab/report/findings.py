"""Findings of a report: five criteria, each with its result.

The figures are over all questions of the pool, whatever their metric, so the unit is points of quality, 1/100
of its range.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from laserve.lab.replay.learners import BLENDING, BLIND
from laserve.lab.replay.learning import BLEND, FULL
from laserve.lab.replay.outcomes import ENSEMBLE_MEAN, ENSEMBLE_RANK
from laserve.lab.replay.resampled import Resampled
from laserve.lab.report.limits import described, limits
from laserve.lab.report.margins import margins
from laserve.lab.report.study import Study
from laserve.lab.statistics import Interval, interval
from laserve.types import Vector

#: Smallest gap with which the first criterion can be judged.
GAP = 0.015
#: Largest loss of a partial learner against the best single arm.
_LOSS = 0.01


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One criterion, and its result."""

    letter: str
    #: The criterion.
    asked: str
    #: The result.
    found: str
    #: Whether the criterion holds; None if the pool cannot show it.
    met: bool | None


@dataclass(frozen=True, kw_only=True)
class _Evidence:
    study: Study
    whole: Resampled
    late: Resampled

    @property
    def learner(self) -> str:
        return self.study.plan.learners[0]

    @property
    def full(self) -> str:
        return self.learner + FULL.suffix


def findings(study: Study) -> list[Finding]:
    """The five findings, in order."""
    outcomes, rows = study.whole.outcomes, study.whole.table.where()
    evidence = _Evidence(
        study=study, whole=Resampled(outcomes, rows), late=Resampled(outcomes, rows, late=True)
    )
    questions: Sequence[Callable[[_Evidence], Finding]] = (_gap, _partial, _context, _blend, _margins)
    return [question(evidence) for question in questions]


def _gap(evidence: _Evidence) -> Finding:
    gap = interval(evidence.whole.best_arm() - evidence.whole.best_single())
    gained = interval(evidence.late.value(evidence.full) - evidence.late.best_single())
    met = None if gap.value < GAP else gained.value >= gap.value / 2 and gained.low > 0
    share = f", {gained.value / gap.value:.0%} of the gap" if gap.value >= GAP else ""
    small = "" if gap.value >= GAP else ", too small to judge a share of it"
    why = "" if met else f" {described(limits(evidence.study.whole.table))}"
    return Finding(
        letter="a",
        asked="Learning from all arms on a share of the requests, last third: at least half the gap between "
        f"the best single arm and the best arm per task, interval above 0, where the gap is {100 * GAP:g} "
        "points or more.",
        found=f"The gap is {_points(gap)}{small}. {evidence.full} differs from the best single arm by "
        f"{_points(gained)}{share}.{why}",
        met=met,
    )


def _partial(evidence: _Evidence) -> Finding:
    lost = interval(evidence.whole.value(evidence.learner) - evidence.whole.best_single())
    return Finding(
        letter="b",
        asked="Learning from the answer's own reward, whole run: not worse than the best single arm by more "
        f"than {100 * _LOSS:g} point, by the interval's lower end.",
        found=f"{evidence.learner} differs from the best single arm by {_points(lost)}.",
        met=lost.low >= -_LOSS,
    )


def _context(evidence: _Evidence) -> Finding:
    def gained(suffix: str) -> Interval:
        seeing = evidence.whole.value(evidence.learner + suffix)
        return interval(seeing - evidence.whole.value(evidence.learner + BLIND + suffix))

    partial, full = gained(""), gained(FULL.suffix)
    return Finding(
        letter="c",
        asked="The context x beats the bias alone, whole run, interval above 0.",
        found=f"With x, {evidence.learner} gains {_points(partial)}, {evidence.full} {_points(full)}.",
        met=partial.low > 0 and full.low > 0,
    )


def _blend(evidence: _Evidence) -> Finding:
    question = "The learned combination beats the best single arm and both ensembles, intervals above 0."
    rivals: Mapping[str, Vector] = {
        "the best single arm": evidence.whole.best_single(),
        ENSEMBLE_MEAN: evidence.whole.value(ENSEMBLE_MEAN),
        ENSEMBLE_RANK: evidence.whole.value(ENSEMBLE_RANK),
    }
    gained = {rival: interval(evidence.whole.value(BLEND) - value) for rival, value in rivals.items()}
    blending = evidence.learner + BLENDING + FULL.suffix
    chosen = interval(evidence.whole.value(blending) - rivals["the best single arm"])
    return Finding(
        letter="d",
        asked=question,
        found=f"{BLEND} differs from "
        + ", ".join(f"{rival} by {_points(one)}" for rival, one in gained.items())
        + f". As one of its arms, {blending} differs from the best single arm by {_points(chosen)}.",
        met=all(one.low > 0 for one in gained.values()),
    )


def _margins(evidence: _Evidence) -> Finding:
    figures = margins(evidence.study)
    results = [
        _margin(task, row, figures["weakest"], evidence.learner) for task, row in figures["tasks"].items()
    ]
    return Finding(
        letter="e",
        asked="LASeR's own margins over a random choice (+2.64 F1 single-document, +2.42 multi-document) "
        "beside ours, also without the weakest arm.",
        found=" ".join(results) or "The pool has no questions of these tasks measured in F1.",
        met=None,
    )


def _margin(task: str, row: Mapping[str, Any], weakest: str | None, learner: str) -> str:
    def points(figures: Mapping[str, Any]) -> str:
        low, high = figures["ci95"]
        return _points(Interval(value=figures["f1"], low=low, high=high))

    without = ""
    if row["without_weakest"]:
        without = f"; without {weakest} {points(row['without_weakest'][learner])}"
    return f"{task}: LASeR +{row['laser']:.2f}, ours {points(row['ours'][learner])}{without}."


def _points(one: Interval) -> str:
    return f"{100 * one.value:+.1f} points ({100 * one.low:+.1f} to {100 * one.high:+.1f})"
