"""Charts of a report, made from its figures."""

from collections.abc import Mapping, Sequence
from typing import Any

from laserve.lab.charts.chart import COLOURS, GREY, coloured
from laserve.lab.charts.intervals import Estimate, IntervalChart
from laserve.lab.charts.lines import Line, LineChart
from laserve.lab.charts.shares import ShareChart
from laserve.lab.replay.learners import BLENDING
from laserve.lab.report.tabular import TITLES

#: Names in the learning curves that are not learners.
_BOUNDS = ("best single", "best arm per task")


def learned(figures: Mapping[str, Any]) -> list[LineChart]:
    """Charts of the quality above a random arm over the requests; with many learners, one chart per mode."""
    learners = [name for name in figures["learning"]["policies"] if name not in _BOUNDS]
    if len(learners) <= len(COLOURS):
        return [_learned(figures, learners)]
    modes = dict.fromkeys(name.partition(":")[2] for name in learners)
    return [
        _learned(figures, [name for name in learners if name.partition(":")[2] == mode]) for mode in modes
    ]


def _learned(figures: Mapping[str, Any], learners: Sequence[str]) -> LineChart:
    curves = figures["learning"]
    lines = {
        name: Line(
            x=curves["position"],
            y=[100 * value for value in curves["policies"][name]],
            bound=name in _BOUNDS,
        )
        for name in (*learners, *_BOUNDS)
    }
    title = f"Points of quality above a random arm, mean of the last {curves['window']} requests"
    return LineChart(title=title, lines=lines, across="requests answered", up="points")


def shares(figures: Mapping[str, Any], arms: Sequence[str]) -> list[ShareChart]:
    """Charts of the arms that the first learner chose for each task in the last third, one per mode."""
    first = figures["replay"]["learners"][0]
    return [
        ShareChart(
            title=f"{learner}: arms chosen in the last third, %",
            rows=by_task,
            colours=_of(by_task, coloured(arms)),
        )
        for learner, by_task in figures["shares"].items()
        if learner.partition(":")[0] in (first, first + BLENDING)
    ]


def _of(by_task: Mapping[str, Mapping[str, float]], colours: Mapping[str, str]) -> dict[str, str]:
    """Colours of the arms that the learner had."""
    return {arm: colour for arm, colour in colours.items() if any(arm in arms for arms in by_task.values())}


def best_of(figures: Mapping[str, Any]) -> list[LineChart]:
    """Charts of quality against the number of candidates, one per task."""
    drawn = []
    for task, curves in figures["best_of_k"].items():
        metric = figures["tasks"][task]["metric"] if task in figures["tasks"] else "quality"
        lines = {
            arm: Line(x=curves["k"], y=[100 * value for value in values])
            for arm, values in curves["arms"].items()
        }
        possible = [100 * value for value in curves["possible"]]
        lines["possible"] = Line(x=curves["k"], y=possible, bound=True)
        drawn.append(
            LineChart(
                title=f"{task}: best of k, {TITLES.get(metric, 'quality')}",
                lines=lines,
                across="candidates k",
                up="points",
                width=5.8,
            )
        )
    return drawn


def differences(block: Mapping[str, Any]) -> IntervalChart:
    """Chart of each policy's gain over the best single arm in the last third."""
    metric = block["metric"]
    rows = {}
    for name, row in block["policies"].items():
        estimate = row["last_third"]["difference_to_best_single"]
        if estimate["ci95"] is None:
            rows[name] = Estimate(value=100 * estimate[metric], colour=GREY)
            continue
        low, high = estimate["ci95"]
        colour = COLOURS[0] if low > 0 else COLOURS[1] if high < 0 else GREY
        rows[name] = Estimate(value=100 * estimate[metric], low=100 * low, high=100 * high, colour=colour)
    title = f"{TITLES.get(metric, metric)} above the best single arm, last third, 95%"
    return IntervalChart(title=title, rows=rows, across="points")
