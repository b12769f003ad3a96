"""Coverage of the intervals of reports, on simulated questions about few sources with known mean qualities.

The percentile bootstrap, which chooses the best arm anew in each resample, is here for comparison alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from laserve.lab.bench.coverage.policies import Floats, Integers
from laserve.lab.bench.coverage.questions import MODELS, Qualities, expected_wins, wins_by_source
from laserve.lab.output import Table
from laserve.lab.reward_models.ppe.rankings import RESAMPLES as FITS
from laserve.lab.reward_models.ppe.rankings import strengths
from laserve.lab.statistics import RESAMPLES, SHARE, Interval, Sources, around, folds, resampled_weights

#: Numbers of sources.
SOURCES = (3, 5, 10, 15, 30, 50)
#: Sources of the worlds, by name the lead of one of six arms over the others.
OF_WORLDS, WORLDS = 15, {"equal": 0.0, "3 ahead": 0.03, "10 ahead": 0.1}
#: Mean quality of the best arm, and gain of the policy over it.
_BEST, _GAIN = 0.45, 0.02
_ARMS = 6
#: Tasks in which, for the room for choosing, another arm leads.
_TASKS = 4
#: Samples for each sample of the strengths, which take longer.
_FEWER = 10


@dataclass(frozen=True, kw_only=True)
class Case:
    """A figure, and the kind of interval that it has."""

    #: ``mean``, ``difference``, ``strength``; ``to best arm``, the difference of a policy to the best of six
    #: arms; or ``room``, the difference of the best arm of each of four tasks to the best single arm.
    figure: str
    #: A name in `WORLDS`; empty where there is one world.
    world: str
    sources: int
    #: ``percentile``, ``studentised``, ``t``, or ``cross-fitted`` for studentised with arms chosen on other
    #: sources.
    interval: str


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Intervals of one sample; each is compared with its true value."""

    case: Case
    intervals: Sequence[Interval]
    truths: Sequence[float]


def simulate(*, samples: int, seed: int) -> Iterator[Outcome]:
    """All cases, `samples` times each, strengths a tenth of that; by seed and number of samples alone."""
    for number, sources in enumerate(SOURCES):
        rng = np.random.default_rng([seed, 1, number])
        yield from _of_means(rng, sources, samples)
        yield from _of_strengths(rng, sources, -(-samples // _FEWER))
    for world in WORLDS:
        yield from of_world(world, samples=samples, seed=seed)


def of_world(world: str, *, samples: int, seed: int) -> Iterator[Outcome]:
    """The cases of one of `WORLDS`."""
    number, lead = list(WORLDS).index(world), WORLDS[world]
    yield from _of_best_arms(np.random.default_rng([seed, 2, number]), world, lead, samples)
    yield from _of_room(np.random.default_rng([seed, 3, number]), world, lead, samples)


def count(samples: int) -> int:
    """Number of what `simulate` yields."""
    by_sources = 4 * samples + 2 * -(-samples // _FEWER)
    return len(SOURCES) * by_sources + len(WORLDS) * 6 * samples


def table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """The rows of `rows_of` as a table."""
    return Table(
        title="95% intervals of reports",
        columns=(
            "figure",
            "interval",
            "sources",
            "coverage",
            "too low",
            "too high",
            "unbounded",
            "width",
            "error",
        ),
        rows=[
            (
                f"{row['figure']}, {row['world']}" if row["world"] else row["figure"],
                row["interval"],
                str(row["sources"]),
                *(f"{row[name]:.1%}" for name in ("coverage", "too_low", "too_high", "unbounded")),
                "-" if row["mean_width"] is None else f"{row['mean_width']:.3f}",
                f"{row['mean_error']:+.4f}",
            )
            for row in rows
        ],
        names=3,
    )


def rows_of(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Figures of each case.

    Keys: those of `Case`; ``samples``; ``coverage``, the share of intervals that contain the true value, an
    absent bound containing every value; ``too_low`` and ``too_high``, the shares that lie below and above it;
    ``unbounded``, the share without bounds; ``mean_width`` of the others, None if there are none; and
    ``mean_error`` of the values.
    """
    cases: dict[Case, list[tuple[Interval, float]]] = {}
    for one in outcomes:
        cases.setdefault(one.case, []).extend(zip(one.intervals, one.truths, strict=True))
    return [vars(case) | _figures(pairs) for case, pairs in cases.items()]


def _figures(pairs: Sequence[tuple[Interval, float]]) -> dict[str, Any]:
    bounded = [
        (one.low, one.high, truth) for one, truth in pairs if one.low is not None and one.high is not None
    ]
    low, high, truth = np.array(bounded).reshape(-1, 3).T
    below, above = float((high < truth).sum()) / len(pairs), float((low > truth).sum()) / len(pairs)
    return {
        "samples": len(pairs),
        "coverage": 1 - below - above,
        "too_low": below,
        "too_high": above,
        "unbounded": 1 - len(bounded) / len(pairs),
        "mean_width": float((high - low).mean()) if bounded else None,
        "mean_error": float(np.mean([one.value - truth for one, truth in pairs])),
    }


def _of_means(rng: np.random.Generator, sources: int, samples: int) -> Iterator[Outcome]:
    """The mean quality of an arm, and the difference of two arms."""
    intervals, resampled = Sources(range(sources)), _resamples(sources, RESAMPLES)
    world, truth = Qualities(np.array([_BEST, _BEST + _GAIN])), {"mean": _BEST, "difference": _GAIN}
    for _ in range(samples):
        sums, count = world.sums(rng, sources)
        for figure, part, within in (("mean", sums[0], SHARE), ("difference", sums[1] - sums[0], None)):
            by_name = {
                "percentile": _percentile((resampled @ part) / (resampled @ count), part.sum() / count.sum()),
                "studentised": intervals.ratios(part[None], count, within=within)[0],
            }
            for name, one in by_name.items():
                case = Case(figure=figure, world="", sources=sources, interval=name)
                yield Outcome(case=case, intervals=[one], truths=[truth[figure]])


def _of_best_arms(rng: np.random.Generator, world: str, lead: float, samples: int) -> Iterator[Outcome]:
    """The gain of a policy over the best of six arms."""
    intervals, resampled = Sources(range(OF_WORLDS)), _resamples(OF_WORLDS, RESAMPLES)
    means = [_BEST, *[_BEST - lead] * (_ARMS - 1), _BEST + _GAIN]
    qualities, part = Qualities(np.array(means)), folds(range(OF_WORLDS))
    for _ in range(samples):
        (*arms, policy), count = qualities.sums(rng, OF_WORLDS)
        sums = np.array(arms)
        parts = np.array([policy - _kept(sums), policy - _crossed(sums, part)])
        anew = (resampled @ policy - (resampled @ sums.T).max(axis=1)) / (resampled @ count)
        case = Case(figure="to best arm", world=world, sources=OF_WORLDS, interval="")
        yield from _three(case, intervals.ratios(parts, count), anew, _GAIN)


def _of_room(rng: np.random.Generator, world: str, lead: float, samples: int) -> Iterator[Outcome]:
    """The gain of the best arm of each task over the best single arm; each task has equal weight."""
    every = _TASKS * OF_WORLDS
    intervals, resampled = Sources(range(every)), _resamples(every, RESAMPLES)
    means = np.full((_TASKS, _ARMS), _BEST - lead)
    np.fill_diagonal(means, _BEST)
    qualities = [Qualities(row) for row in means]
    part, parts_of_task = folds(range(every)), folds(range(OF_WORLDS))
    truth = float(means.max(axis=1).mean() - means.mean(axis=0).max())
    for _ in range(samples):
        drawn = [task.sums(rng, OF_WORLDS) for task in qualities]
        tasks = [sums / count.sum() for sums, count in drawn]
        count = np.concatenate([count / count.sum() for _, count in drawn])
        sums = np.concatenate(tasks, axis=1)
        kept = np.concatenate([_kept(task) for task in tasks]) - _kept(sums)
        crossed = np.concatenate([_crossed(task, parts_of_task) for task in tasks]) - _crossed(sums, part)
        chosen = np.split(resampled, _TASKS, axis=1)
        best = sum((one @ task.T).max(axis=1) for one, task in zip(chosen, tasks, strict=True))
        anew = (best - (resampled @ sums.T).max(axis=1)) / (resampled @ count)
        case = Case(figure="room", world=world, sources=every, interval="")
        yield from _three(case, intervals.ratios(np.array([kept, crossed]), count), anew, truth)


def _three(case: Case, intervals: Sequence[Interval], anew: Floats, truth: float) -> Iterator[Outcome]:
    """The intervals with the arms kept, with arms chosen on other sources, and with arms chosen anew."""
    studentised, crossed = intervals
    percentile = _percentile(anew, studentised.value)
    for name, one in {"percentile": percentile, "studentised": studentised, "cross-fitted": crossed}.items():
        yield Outcome(case=replace(case, interval=name), intervals=[one], truths=[truth])


def _kept(sums: Floats) -> Floats:
    """Sums of the best arm by source, shape (C,), from those of all arms, shape (K, C)."""
    return np.asarray(sums[sums.sum(axis=1).argmax()])


def _crossed(sums: Floats, part: Integers) -> Floats:
    """For each source the sum of the arm that is best outside its part."""
    best = np.array([sums[:, part != one].sum(axis=1).argmax() for one in range(part.max() + 1)])
    return np.asarray(sums[best[part], np.arange(sums.shape[1])])


def _of_strengths(rng: np.random.Generator, sources: int, samples: int) -> Iterator[Outcome]:
    """Bradley-Terry strengths of models that meet two or three times in each source."""
    resampled, count = _resamples(sources, FITS), len(MODELS)
    truth = strengths(expected_wins() * 1e6)
    for _ in range(samples):
        wins = wins_by_source(rng, sources).reshape(sources, -1)
        value = strengths(wins.sum(axis=0).reshape(count, count))
        drawn = strengths((resampled @ wins).reshape(-1, count, count))
        ends = {"percentile": np.percentile(drawn, [2.5, 97.5], axis=0), "t": around(value, drawn, sources)}
        for name, (low, high) in ends.items():
            case = Case(figure="strength", world="", sources=sources, interval=name)
            of_models = [
                Interval(value=one, low=bottom, high=top, sources=sources)
                for one, bottom, top in zip(value.tolist(), low.tolist(), high.tolist(), strict=True)
            ]
            yield Outcome(case=case, intervals=of_models, truths=truth.tolist())


def _resamples(sources: int, count: int) -> Floats:
    """How often each source is in each resample, shape (count, sources)."""
    return np.stack(list(resampled_weights(range(sources), count)))


def _percentile(resampled: Floats, value: float) -> Interval:
    """The percentile interval, as bootstraps often have it."""
    low, high = np.percentile(resampled, [2.5, 97.5])
    return Interval(value=value, low=float(low), high=float(high), sources=0)
