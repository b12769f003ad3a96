"""A chart, its style, and its renderings."""

import io
import textwrap
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from laserve.errors import ConfigError
from laserve.lab.output import check_writable

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Colours that differ for colour-blind eyes too: those of Okabe and Ito (2008), with a blue of Tol (2021)
#: instead of their yellow, which is too light for a line on white.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#332288", "#222222")
#: Colour of bounds, and of estimates that do not differ from zero.
GREY = "#7f7f7f"
#: Characters of a name in a line of a legend or beside an axis.
NAME = 32
#: Characters of a title in an inch.
_TITLE = 11
_STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#888888",
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.titlesize": 11,
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "Helvetica"],  # the first is matplotlib's own
    "font.size": 9,
    "grid.color": "#e0e0e0",
    "legend.frameon": False,
    "svg.fonttype": "none",  # texts can be searched, and the reader's fonts have all their characters
    "svg.hashsalt": "laserve",  # equal charts have equal bytes
    "text.parse_math": False,
}


class Chart(Protocol):
    """What can be drawn."""

    @property
    def title(self) -> str:
        """Heading, and the text for readers who do not see the chart."""

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in inches."""

    def draw(self, figure: "Figure") -> None:
        """Draw all but the title."""


def coloured(names: Sequence[str]) -> dict[str, str]:
    """Name -> colour; colours repeat if there are more names than colours."""
    return {name: COLOURS[index % len(COLOURS)] for index, name in enumerate(names)}


def wrapped(name: str) -> str:
    """A name in lines of `NAME` characters."""
    return textwrap.fill(name, NAME)


def legend(axes: "Axes", handles: Sequence["Artist"], names: Sequence[str]) -> None:
    """Name what is drawn, at the right of the axes."""
    labels = [wrapped(name) for name in names]
    axes.legend(handles, labels, loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0)


def legend_height(names: Iterable[str]) -> float:
    """Height of a chart that its legend needs, in inches."""
    return 1 + 0.21 * sum(wrapped(name).count("\n") + 1 for name in names)


def svg(chart: Chart) -> str:
    """The chart as SVG that needs no other file; equal charts are equal texts."""
    out = io.StringIO()
    with _drawn(chart) as figure:
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Title": chart.title})
    return out.getvalue()


def png(chart: Chart) -> bytes:
    """The chart as PNG, with 150 pixels per inch; equal charts are equal bytes."""
    out = io.BytesIO()
    with _drawn(chart) as figure:
        figure.savefig(out, format="png", dpi=150, metadata={"Software": None, "Title": chart.title})
    return out.getvalue()


@contextmanager
def _drawn(chart: Chart) -> Iterator["Figure"]:
    """The figure, in our style whatever the user's matplotlibrc says."""
    from matplotlib import style
    from matplotlib.figure import Figure

    with style.context(_STYLE, after_reset=True), warnings.catch_warnings():
        # In SVG the reader's fonts have the character; in PNG a box is drawn for it.
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        figure = Figure(figsize=chart.size, layout="constrained")
        title = textwrap.fill(chart.title, int(chart.size[0] * _TITLE))
        figure.suptitle(title, x=0.01, ha="left")
        chart.draw(figure)
        yield figure


def check_matplotlib(option: str) -> None:
    """Raise ConfigError, naming the option that needs charts, when matplotlib is not installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ConfigError.at(option, f"{error}; pip install 'laserve[bench]'") from error


def beside(figures: Path) -> Path:
    """Path of the PNG beside a file of figures.

    Raises:
        ConfigError: it cannot be drawn or written.
    """
    check_matplotlib("--json")
    picture = figures.with_suffix(".png")
    if picture == figures:
        raise ConfigError.at("--json", f"{figures} is the name of the chart that is written beside the file")
    check_writable(picture)
    return picture
