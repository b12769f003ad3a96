"""Tables and sections of a report, independent of Markdown and HTML."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from laserve.lab.charts.chart import Chart
from laserve.lab.output import Cell, Table
from laserve.lab.output.tables import Tone


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of a report: sentences, then charts (which Markdown leaves out), then tables."""

    title: str
    says: tuple[str, ...] = ()
    charts: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()
    #: Subsections, which a page shows folded.
    within: tuple["Section", ...] = field(default=())


#: Points of a learning curve in the table.
_SHOWN = 6
#: Metric -> name in a report.
TITLES = {
    "f1": "F1",
    "rouge_l": "ROUGE-L",
    "classification": "right classes",
    "retrieval": "right paragraphs",
    "count": "right counts",
    "code_similarity": "similarity of code",
    "exact_match": "exact matches",
    "final_number": "right numbers",
    "choice": "right choices",
    "preference": "preferred answers",
    "correctness": "right answers",
    "reward": "reward",
    "quality": "quality",
}


def policies(block: Mapping[str, Any]) -> Table:
    """All policies of a block, whole run and last third, in points of its metric."""
    metric, questions = block["metric"], block["questions"]
    title = TITLES.get(metric, metric)
    columns = (
        "policy",
        f"{title} (95%)",
        "to random",
        "to best single",
        f"last third: {title} (95%)",
        "to random",
        "to best single",
        "arms a request",
        "shadow",
    )
    rows: list[tuple[str | Cell, ...]] = []
    for name, row in block["policies"].items():
        late = row["last_third"]
        rows.append(
            (
                name,
                estimate(row, metric),
                difference(row["difference_to_random"], metric),
                difference(row["difference_to_best_single"], metric),
                estimate(late, metric),
                difference(late["difference_to_random"], metric),
                difference(late["difference_to_best_single"], metric),
                f"{row['rm_calls'] / questions:.2f}",
                f"{row['shadow_calls'] / questions:.2f}",
            )
        )
    rows += [(name, *cells, *("-",) * 4) for name, cells in _bounds(block)]
    return Table(columns=columns, rows=rows)


def summary(block: Mapping[str, Any]) -> Table:
    """All policies of a block over the whole run alone, without intervals."""
    metric = block["metric"]
    rows = [
        (
            name,
            f"{100 * row[metric]:.1f}",
            difference(row["difference_to_random"], metric),
            difference(row["difference_to_best_single"], metric),
        )
        for name, row in block["policies"].items()
    ]
    bounds = [(name, f"{100 * row[metric]:.1f}", "-", "-") for name, row in _hindsight(block)]
    columns = (f"{block['sources']} sources", TITLES.get(metric, metric), "to random", "to best single")
    return Table(columns=columns, rows=[*rows, *bounds])


def learned(figures: Mapping[str, Any]) -> Table:
    """Points of quality above a random arm after some numbers of requests, a row for each policy."""
    curves = figures["learning"]
    last = len(curves["position"]) - 1
    shown = sorted({round(last * part / (_SHOWN - 1)) for part in range(_SHOWN)})
    rows = [
        (name, *(f"{100 * values[index]:+.1f}" for index in shown))
        for name, values in curves["policies"].items()
    ]
    positions = (f"{curves['position'][index]:,}" for index in shown)
    return Table(columns=("points above random after", *positions), rows=rows)


def _hindsight(block: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    single, of_task = block["best_single"], block["best_arm"]
    return [
        (f"best single: {single['arm']}", single),
        ("the same, chosen on other sources", single["cross_fitted"]),
        ("best arm per task", of_task),
        ("the same, chosen on other sources", of_task["cross_fitted"]),
        ("best candidate", block["best_candidate"]),
    ]


def _bounds(block: Mapping[str, Any]) -> list[tuple[str, tuple[str, ...]]]:
    """Rows of what is known only with hindsight."""
    metric = block["metric"]
    bounds: list[tuple[str, tuple[str, ...]]] = []
    for name, row in _hindsight(block):
        late = estimate(row["last_third"], metric) if "last_third" in row else "-"
        bounds.append((name, (estimate(row, metric), "-", "-", late)))
    return bounds


def estimate(row: Mapping[str, Any], metric: str) -> str:
    """A value with its interval, in points."""
    if row["ci95"] is None:
        return f"{100 * row[metric]:.1f} (no interval)"
    low, high = row["ci95"]
    return f"{100 * row[metric]:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def difference(row: Mapping[str, Any], metric: str) -> Cell:
    """A difference with its interval, in points."""
    if row["ci95"] is None:
        return Cell(text=f"{100 * row[metric]:+.1f} (no interval)")
    low, high = row["ci95"]
    tone: Tone = "up" if low > 0 else "down" if high < 0 else ""
    return Cell(text=f"{100 * row[metric]:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})", tone=tone)


def ci95(row: Mapping[str, Any]) -> list[float] | None:
    """Interval of a figure that has it as ``low`` and ``high``; None if it has none."""
    return None if row["low"] is None else [row["low"], row["high"]]
