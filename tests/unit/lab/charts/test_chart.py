"""Every chart: SVG and PNG that stand alone, equal for equal figures, with every name whole."""

import io
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.image import imread

from laserve.errors import ConfigError
from laserve.lab.charts.chart import COLOURS, Chart, beside, check_matplotlib, coloured, png, svg
from laserve.lab.charts.intervals import Estimate, IntervalChart
from laserve.lab.charts.lines import Line, LineChart, Panel, PanelChart
from laserve.lab.charts.shares import ShareChart
from unit.lab.charts.drawn import texts


def charts(title: str, *names: str) -> list[Chart]:
    """A chart of each kind."""
    lines = {name: Line(x=[1, 2, 3], y=[index, 1.0, 2.0]) for index, name in enumerate(names)}
    rows = {name: Estimate(value=1.0, low=0.5, high=2.0) for name in names}
    return [
        LineChart(title=title, lines=lines, across="k", up="points"),
        LineChart(title=title, lines=lines, across="k", up="points", logarithmic=True),
        PanelChart(title=title, panels={name: Panel(lines=lines, says="says") for name in names}, across="k"),
        IntervalChart(title=title, rows=rows, across="points"),
        ShareChart(title=title, rows={name: {name: 1.0} for name in names}, colours=coloured(names)),
    ]


NAMES = [
    "<script>alert(1)</script> & co",
    "cost in $ of a $",
    "_hidden",
    "漢字 और é \N{WASTEBASKET}",
    "\\frac{x}{y}_{z}^2",
    "a name that is much longer than a chart has room for beside its axes " * 2,
]


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_whole_in_every_chart(name: str) -> None:
    drawn = charts(f"title: {name}", name, "other")
    assert png(drawn[0]).startswith(b"\x89PNG"), "without a warning, though the font lacks a character"
    for chart in drawn:
        shown = "".join(texts(chart)).replace(" ", "")
        assert f"title:{name}".replace(" ", "") in shown, chart
        assert shown.count(name.replace(" ", "")) >= 2, chart


def test_a_chart_needs_nothing_from_elsewhere() -> None:
    for chart in charts("title", "a", "b"):
        text = svg(chart)
        for known in ("http://www.w3.org/", "http://creativecommons.org/ns#", "http://purl.org/dc/"):
            text = text.replace(known, "")
        assert "http" not in text
        assert "<script" not in text
        assert "@import" not in text


def test_equal_charts_have_equal_bytes_whatever_the_user_s_style() -> None:
    drawn = charts("title", "a", "b")
    first = [*map(svg, drawn), png(drawn[0])]
    with mpl.rc_context({"font.size": 20, "axes.facecolor": "red", "svg.hashsalt": None}):
        before = dict(mpl.rcParams)
        again = charts("title", "a", "b")
        assert [*map(svg, again), png(again[0])] == first
        assert dict(mpl.rcParams) == before


def test_a_picture_has_a_white_ground_and_its_size() -> None:
    chart = charts("title", "a")[0]
    pixels = imread(io.BytesIO(png(chart)), format="png")
    assert pixels.shape[:2] == tuple(round(150 * inches) for inches in reversed(chart.size))
    assert pixels[-1, 1].tolist() == [1, 1, 1, 1]


def test_a_chart_is_drawn_without_pyplot_which_has_state() -> None:
    code = (
        "import sys\n"
        "from laserve.lab.charts.chart import svg\n"
        "from laserve.lab.charts.lines import Line, LineChart\n"
        "assert 'matplotlib' not in sys.modules\n"
        "svg(LineChart(title='t', lines={'a': Line(x=[1, 2], y=[1, 2])}, across='k', up='u'))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    command = [sys.executable, "-W", "error", "-c", code]
    assert subprocess.run(command, check=False, timeout=60).returncode == 0


@settings(max_examples=15)
@given(values=st.lists(st.floats(-1e6, 1e6) | st.just(float("nan")), min_size=1, max_size=5))
def test_any_values_can_be_drawn(values: list[float]) -> None:
    lines = {"a": Line(x=list(range(len(values))), y=values)}
    rows = {str(index): Estimate(value=value) for index, value in enumerate(values)}
    for chart in (
        LineChart(title="t", lines=lines, across="k", up="u"),
        IntervalChart(title="t", rows=rows, across="points"),
    ):
        assert {"t", chart.across} <= set(texts(chart))


def test_colours_of_names_repeat_when_there_are_too_few() -> None:
    names = [str(number) for number in range(len(COLOURS) + 1)]
    assert list(coloured(names).values()) == [*COLOURS, COLOURS[0]]


def test_colours_differ_for_colour_blind_eyes_and_stand_out_from_white() -> None:
    """The weights of the two commonest deficiencies: Machado et al. (2009), severity 1, in linear light."""
    deficient = {
        "protan": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
        "deutan": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    }
    rgb = np.array([[int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)] for colour in COLOURS])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    for weights in deficient.values():
        seen = np.clip(linear @ np.array(weights).T, 0, 1) ** (1 / 2.4)
        apart = np.abs(seen[:, None] - seen[None]).max(axis=2)
        assert apart[~np.eye(len(COLOURS), dtype=bool)].min() > 0.1
    assert ((1 - linear) @ [0.2126, 0.7152, 0.0722]).min() > 0.4


def test_without_matplotlib_a_chart_is_refused_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigError, match=r"^--report: .*matplotlib.*; pip install 'laserve\[bench\]'$"):
        check_matplotlib("--report")
    with pytest.raises(ConfigError, match=r"^--json: "):
        beside(tmp_path / "figures.json")


def test_a_picture_lies_beside_its_figures(tmp_path: Path) -> None:
    assert beside(tmp_path / "figures.json") == tmp_path / "figures.png"
    with pytest.raises(ConfigError, match=r"--json: .*figures\.png is the name of the chart"):
        beside(tmp_path / "figures.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(ConfigError, match=r"folder\.png cannot be written"):
        beside(tmp_path / "folder.json")
