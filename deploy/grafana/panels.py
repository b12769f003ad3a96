"""How matplotlib draws each kind of panel; a function answers whether the panel has data."""

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from queries import Panel, Prometheus, Series, label

#: Points of a line, at most.
POINTS = 240
#: Entries of a legend and rows of a table, at most, and bars, the longest.
ENTRIES = 8
BARS = 14
COLOURS = (
    "#1f77b4",
    "#ff7f0e",
    "#2ca02c",
    "#d62728",
    "#9467bd",
    "#8c564b",
    "#e377c2",
    "#17becf",
    "#bcbd22",
)
EVERYTHING = dict.fromkeys(("instance", "policy", "task", "arm"), ".+")


@dataclass(frozen=True, kw_only=True)
class Span:
    """The time that a picture shows.

    Args:
        start, end: seconds since 1970.
        prepare: makes an expression of Prometheus of one of a board, given the values of its variables.
    """

    prometheus: Prometheus
    start: float
    end: float
    prepare: Callable[[str, Mapping[str, str]], str]

    def over(self, expr: str, **values: str) -> list[Series]:
        step = max((self.end - self.start) / POINTS, 1.0)
        query = self.prepare(expr, EVERYTHING | values)
        return self.prometheus.range(query, start=self.start, end=self.end, step=step)

    def now(self, expr: str) -> list[Series]:
        return self.prometheus.instant(self.prepare(expr, EVERYTHING), time=self.end)

    def minutes(self, series: Series) -> list[float]:
        return [(moment - self.start) / 60 for moment in series.times]


def _lines(ax: Any, panel: Panel, span: Span, chosen: Sequence[str]) -> bool:
    if panel.repeat is not None:
        return _bands(ax, panel, span, chosen)
    custom = panel.settings["fieldConfig"]["defaults"].get("custom", {})
    found = [
        (label(target.legend, series.labels), series)
        for target in panel.targets
        for series in span.over(target.expr)
    ]
    colours = dict(zip(sorted({name for name, _ in found}), itertools.cycle(COLOURS), strict=False))
    if custom.get("stacking", {}).get("mode") == "normal":
        times = sorted({moment for _, series in found for moment in series.times})
        stack = [[dict(zip(s.times, s.values, strict=True)).get(t, 0.0) for t in times] for _, s in found]
        names = [name for name, _ in found]
        minutes = [(moment - span.start) / 60 for moment in times]
        if found:
            ax.stackplot(minutes, stack, labels=names, colors=[colours[name] for name in names], alpha=0.8)
    else:
        for name, series in found:
            ax.plot(span.minutes(series), series.values, label=name, color=colours[name], linewidth=0.9)
    return _finish(ax, panel, found)


def _bands(ax: Any, panel: Panel, span: Span, chosen: Sequence[str]) -> bool:
    """The mean of each value of the variable, and the area between `low` and `high`."""
    found = []
    for value, colour in zip(chosen, itertools.cycle(COLOURS), strict=False):
        lines = {
            target.legend: series
            for target in panel.targets
            for series in span.over(target.expr, **{str(panel.repeat): re.escape(value)})
        }
        if "mean" in lines:
            found.append((value, lines["mean"]))
            ax.plot(
                span.minutes(lines["mean"]), lines["mean"].values, label=value, color=colour, linewidth=0.9
            )
        if {"low", "high"} <= lines.keys() and lines["low"].times == lines["high"].times:
            minutes = span.minutes(lines["low"])
            ax.fill_between(minutes, lines["low"].values, lines["high"].values, color=colour, alpha=0.15)
    return _finish(ax, panel, found)


def _finish(ax: Any, panel: Panel, found: Sequence[tuple[str, Series]]) -> bool:
    if found:
        defaults = panel.settings["fieldConfig"]["defaults"]
        ax.set_ylim(defaults.get("min"), defaults.get("max"))
        ax.grid(color="#eeeeee", linewidth=0.5)
        _unit(ax.yaxis, panel.unit)
        handles, names = ax.get_legend_handles_labels()
        shown = dict(zip(names, handles, strict=True))
        entries = list(shown.items())[:ENTRIES]
        ax.legend(
            [handle for _, handle in entries],
            [name if len(name) < 30 else f"{name[:28]}.." for name, _ in entries],
            fontsize=6,
            ncols=2,
            framealpha=0.6,
            loc="best",
        )
    return bool(found)


def _unit(axis: Any, unit: str) -> None:
    from matplotlib.ticker import EngFormatter, PercentFormatter

    if unit == "percentunit":
        axis.set_major_formatter(PercentFormatter(1.0))
    elif unit in ("s", "bytes"):
        axis.set_major_formatter(EngFormatter("s" if unit == "s" else "B"))
    elif unit in ("reqps", "ops"):
        axis.set_major_formatter("{x:g}/s")


def _bars(ax: Any, panel: Panel, span: Span, chosen: Sequence[str]) -> bool:
    found = [
        (label(target.legend, series.labels), series.values[0])
        for target in panel.targets
        for series in span.now(target.expr)
    ]
    if found:
        largest = sorted(sorted(found, key=lambda bar: -bar[1])[:BARS])
        names, values = zip(*largest, strict=True)
        ax.barh(range(len(names)), values, color=COLOURS[0])
        ax.set_yticks(range(len(names)), names, fontsize=6)
        ax.invert_yaxis()
        _unit(ax.xaxis, panel.unit)
    return bool(found)


def _states(ax: Any, panel: Panel, span: Span, chosen: Sequence[str]) -> bool:
    from matplotlib.patches import Patch

    found = [
        (label(target.legend, series.labels), series)
        for target in panel.targets
        for series in span.over(target.expr)
    ]
    colours = dict(zip(panel.texts, itertools.cycle(COLOURS), strict=False))
    width = max((span.end - span.start) / POINTS, 1.0) / 60
    for row, (_, series) in enumerate(found):
        for minute, value in zip(span.minutes(series), series.values, strict=True):
            ax.barh(row, width, left=minute, height=0.7, color=colours[f"{value:g}"])
    if found:
        ax.set_ylim(-0.6, max(len(found), 3) - 0.4)
        ax.set_yticks(range(len(found)), [name for name, _ in found], fontsize=6)
        ax.invert_yaxis()
        seen = {f"{value:g}" for _, series in found for value in series.values}
        patches = [
            Patch(color=colours[value], label=text) for value, text in panel.texts.items() if value in seen
        ]
        ax.legend(
            handles=patches,
            fontsize=6,
            ncols=4,
            handlelength=1,
            columnspacing=0.8,
            loc="lower right",
            bbox_to_anchor=(1, 0.99),
        )
    return bool(found)


def _heatmap(ax: Any, panel: Panel, span: Span, chosen: Sequence[str]) -> bool:
    """The buckets of the value of the variable whose scores lie in the most buckets."""
    found = [_buckets(panel, span, value) for value in chosen]
    if not any(rows for *_, rows in found):
        return False
    value, bounds, times, rows = max(found, key=lambda each: len(each[1]))
    minutes = [(moment - span.start) / 60 for moment in times]
    ax.pcolormesh(minutes, range(len(rows)), rows, cmap="Blues", shading="nearest")
    ax.set_yticks(range(len(rows)), [f"<= {bound:g}" for bound in bounds])
    ax.set_title(panel.title.replace(f"${panel.repeat}", value), fontsize=9, loc="left")
    return True


def _buckets(panel: Panel, span: Span, value: str) -> tuple[str, list[float], list[float], list[list[float]]]:
    """A value of the variable; the bounds of its buckets in use, the times, and a row for each bucket."""
    found = span.over(panel.targets[0].expr, **{str(panel.repeat): re.escape(value)})
    times = sorted({moment for series in found for moment in series.times})
    below, rows = dict.fromkeys(times, 0.0), []
    for bound, series in sorted(
        ((float(each.labels["le"]), each) for each in found), key=lambda pair: pair[0]
    ):
        upto = dict.fromkeys(times, 0.0) | dict(zip(series.times, series.values, strict=True))
        rows.append((bound, [max(upto[moment] - below[moment], 0.0) for moment in times]))
        below = upto
    used = [number for number, (_, row) in enumerate(rows) if any(row)]
    rows = rows[used[0] : used[-1] + 1] if used else []
    return value, [bound for bound, _ in rows], times, [row for _, row in rows]


def _table(ax: Any, panel: Panel, span: Span, chosen: Sequence[str]) -> bool:
    columns = [target.legend for target in panel.targets]
    rows: dict[tuple[tuple[str, str], ...], dict[str, float]] = {}
    for target in panel.targets:
        for series in span.now(target.expr):
            rows.setdefault(tuple(sorted(series.labels.items())), {})[target.legend] = series.values[0]
    if not rows:
        return False
    hidden = panel.settings["transformations"][1]["options"]["excludeByName"]
    names = [name for name, _ in next(iter(rows))]
    shown = [name for name in columns if name not in hidden]
    cells = [
        [
            *(value for _, value in key),
            *(f"{round(values[name], 3):g}" if name in values else "" for name in shown),
        ]
        for key, values in sorted(rows.items())[:ENTRIES]
    ]
    ax.set_axis_off()
    table = ax.table(
        cells, colLabels=[*names, *shown], loc="upper center", cellLoc="left", edges="horizontal"
    )
    table.auto_set_font_size(False)
    table.set_fontsize(7)
    table.auto_set_column_width(list(range(len(names) + len(shown))))
    return True


OVER_TIME = ("timeseries", "state-timeline", "heatmap")
KINDS: dict[str, Callable[[Any, Panel, Span, Sequence[str]], bool]] = {
    "timeseries": _lines,
    "bargauge": _bars,
    "state-timeline": _states,
    "heatmap": _heatmap,
    "table": _table,
}
