"""The parts of a board: rows of panels, each with its queries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["lines", "stacked", "bars", "states", "heatmap", "table"]


@dataclass(frozen=True, kw_only=True)
class Query:
    """A query of a panel."""

    expr: str
    #: Name of a series in the legend, with its labels in double braces; name of the column in a table.
    legend: str


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A panel.

    Args:
        unit: Grafana's name of the unit of all values.
        kind: `lines` and `stacked` over time, `bars` and `table` of the present, `states` over time by
            `texts`, or a `heatmap` of a histogram's buckets.
        low: lower end of the axis, by default the data's.
        high: upper end of the axis, by default the data's.
        repeat: variable of which each chosen value gets the panel of its own.
        band: the series named `low` and `high` enclose a filled band.
        texts: value -> its text.
        hidden: columns that a table leaves out.
        width: of 24.
    """

    title: str
    description: str
    unit: str
    queries: Sequence[Query]
    kind: Kind = "lines"
    low: float | None = None
    high: float | None = None
    repeat: str | None = None
    band: bool = False
    texts: Mapping[int, str] | None = None
    hidden: Sequence[str] = ()
    width: int = 8


@dataclass(frozen=True, kw_only=True)
class Row:
    """A headline, and the panels below it."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True, kw_only=True)
class Variable:
    """A variable whose values the reader of a board chooses.

    Args:
        query: `label_values(SELECTOR, LABEL)`; or the values themselves, with commas between them, of which
            one is chosen.
    """

    name: str
    label: str
    query: str
    default: str | None = None

    @property
    def queried(self) -> bool:
        return self.query.startswith("label_values(")


@dataclass(frozen=True, kw_only=True)
class Note:
    """An annotation: a mark on all panels wherever the query has a value."""

    name: str
    expr: str
    text: str
    colour: str


@dataclass(frozen=True, kw_only=True)
class Board:
    """A dashboard."""

    uid: str
    title: str
    description: str
    variables: Sequence[Variable]
    rows: Sequence[Row]
    notes: Sequence[Note] = ()


INSTANCES = Variable(name="instance", label="Instance", query="label_values(laserve_ready, instance)")
POLICIES = Variable(
    name="policy",
    label="Policy",
    query='label_values(laserve_decisions_total{instance=~"$instance"}, policy)',
)
TASKS = Variable(
    name="task", label="Task", query='label_values(laserve_decisions_total{instance=~"$instance"}, task)'
)
ARMS = Variable(name="arm", label="Arm", query='label_values(laserve_arm_state{instance=~"$instance"}, arm)')
WINDOW = Variable(name="window", label="Window of estimates", query="15m,1h,6h,1d,7d", default="1h")
