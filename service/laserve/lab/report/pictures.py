"""Charts of a report, made from its figures."""

from collections.abc import Mapping, Sequence
from typing import Any

from laserve.lab.charts.intervals import Estimate, interval_chart
from laserve.lab.charts.lines import Series, line_chart
from laserve.lab.charts.shares import share_chart
from laserve.lab.charts.svg import COLOURS
from laserve.lab.replay.learners import BLENDING
from laserve.lab.report.tabular import TITLES

_PLAIN = "#7f7f7f"
#: Names in the learning curves that are not learners.
_BOUNDS = ("best single", "best arm per task")


def coloured(names: Sequence[str]) -> dict[str, str]:
    """Name -> colour; colours repeat if there are more names than colours."""
    return {name: COLOURS[index % len(COLOURS)] for index, name in enumerate(names)}


def learned(figures: Mapping[str, Any]) -> list[str]:
    """Charts of the quality above a random arm over the requests; with many learners, one chart per mode."""
    learners = [name for name in figures["learning"]["policies"] if name not in _BOUNDS]
    if len(learners) <= len(COLOURS):
        return [_learned(figures, learners)]
    modes = dict.fromkeys(name.partition(":")[2] for name in learners)
    return [
        _learned(figures, [name for name in learners if name.partition(":")[2] == mode]) for mode in modes
    ]


def _learned(figures: Mapping[str, Any], learners: Sequence[str]) -> str:
    curves, colours = figures["learning"], coloured(learners)
    series = {
        name: Series(
            values=[100 * value for value in curves["policies"][name]],
            colour=colours.get(name, _PLAIN),
            dashed=name in _BOUNDS,
        )
        for name in (*learners, *_BOUNDS)
    }
    return line_chart(
        curves["position"],
        series,
        title=f"Points of quality above a random arm, mean of the last {curves['window']} requests",
        across="requests answered",
        up="points",
    )


def shares(figures: Mapping[str, Any], arms: Sequence[str]) -> list[str]:
    """Charts of the arms that the first learner chose for each task in the last third, one per mode."""
    first = figures["replay"]["learners"][0]
    return [
        share_chart(
            by_task, _of(by_task, coloured(arms)), title=f"{learner}: arms chosen in the last third, %"
        )
        for learner, by_task in figures["shares"].items()
        if learner.partition(":")[0] in (first, first + BLENDING)
    ]


def _of(by_task: Mapping[str, Mapping[str, float]], colours: Mapping[str, str]) -> dict[str, str]:
    """Colours of the arms that the learner had."""
    return {arm: colour for arm, colour in colours.items() if any(arm in arms for arms in by_task.values())}


def best_of(figures: Mapping[str, Any], arms: Sequence[str]) -> list[str]:
    """Charts of quality against the number of candidates, one per task."""
    colours = coloured(arms)
    drawn = []
    for task, curves in figures["best_of_k"].items():
        title = (
            TITLES.get(figures["tasks"][task]["metric"], "quality") if task in figures["tasks"] else "quality"
        )
        series = {
            arm: Series(values=[100 * value for value in values], colour=colours[arm])
            for arm, values in curves["arms"].items()
        }
        possible = [100 * value for value in curves["possible"]]
        series["possible"] = Series(values=possible, colour=_PLAIN, dashed=True)
        drawn.append(
            line_chart(
                curves["k"],
                series,
                title=f"{task}: best of k, {title}",
                across="candidates k",
                up="points",
                width=520,
                height=300,
                right=120,
            )
        )
    return drawn


def differences(block: Mapping[str, Any]) -> str:
    """Chart of each policy's gain over the best single arm in the last third."""
    metric = block["metric"]
    rows = {}
    for name, row in block["policies"].items():
        estimate = row["last_third"]["difference_to_best_single"]
        low, high = estimate["ci95"]
        colour = COLOURS[0] if low > 0 else COLOURS[1] if high < 0 else _PLAIN
        rows[name] = Estimate(value=100 * estimate[metric], low=100 * low, high=100 * high, colour=colour)
    return interval_chart(
        rows,
        title=f"{TITLES.get(metric, metric)} above the best single arm, last third, 95%",
        across="points",
    )


def margins(figures: Mapping[str, Any], learners: Sequence[str]) -> str:
    """Chart of LASeR's margins over a random choice beside those in the pool."""
    comparison, rows = figures["margins"], {}
    for task, row in comparison["tasks"].items():
        rows[f"{task}: LASeR"] = Estimate(value=row["laser"], colour=COLOURS[1])
        for learner in learners:
            rows[f"{task}: {learner}"] = _margin(row["ours"][learner], COLOURS[0])
            if row["without_weakest"]:
                without = _margin(row["without_weakest"][learner], COLOURS[5])
                rows[f"{task}: {learner}, fewer"] = without
    return interval_chart(rows, title="F1 points above a random arm, whole run, 95%", across="F1 points")


def _margin(row: Mapping[str, Any], colour: str) -> Estimate:
    low, high = row["ci95"]
    return Estimate(value=100 * row["f1"], low=100 * low, high=100 * high, colour=colour)
