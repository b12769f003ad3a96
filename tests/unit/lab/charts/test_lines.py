"""Lines and panels: each named, bounds told apart, counts in whole numbers."""

import re

from laserve.lab.charts.chart import COLOURS, GREY, svg
from laserve.lab.charts.lines import Line, LineChart, Panel, PanelChart
from unit.lab.charts.drawn import texts


def looks(chart: LineChart | PanelChart) -> list[tuple[str, bool]]:
    """Colour of each line of the legend, and whether it is solid."""
    legend = svg(chart).partition('id="legend_1"')[2]
    styles = re.findall(r'<path d="[^"]*" style="([^"]*stroke: (#\w+)[^"]*)"', legend)
    return [(colour, "dasharray" not in style) for style, colour in styles]


def test_lines_are_named_in_the_order_of_their_ends() -> None:
    lines = {
        "low": Line(x=[1, 2], y=[9.0, 1.0]),
        "high": Line(x=[1, 2], y=[0.0, 5.0]),
        "bound": Line(x=[1, 2], y=[6.0, 6.0], bound=True),
    }
    chart = LineChart(title="F1", lines=lines, across="k", up="points")
    shown = texts(chart)
    assert [name for name in shown if name in lines] == ["bound", "high", "low"]
    assert {"F1", "k", "points"} <= set(shown)
    assert looks(chart) == [(GREY, False), (COLOURS[1], True), (COLOURS[0], True)]


def test_lines_that_share_a_colour_differ_in_their_style() -> None:
    lines = {str(number): Line(x=[1, 2], y=[0.0, -number]) for number in range(2 * len(COLOURS))}
    lines |= {f"bound {number}": Line(x=[1, 2], y=[0, -100 - number], bound=True) for number in range(2)}
    chart = LineChart(title="many", lines=lines, across="k", up="points")
    shown = looks(chart)
    assert [colour for colour, _ in shown] == [*COLOURS, *COLOURS, GREY, GREY]
    assert [solid for _, solid in shown[: len(COLOURS)]] == [True] * len(COLOURS)
    assert not any(solid for _, solid in shown[len(COLOURS) :])


def test_a_line_of_one_point_is_a_dot() -> None:
    def dots(*y: float) -> list[str]:
        lines = {"a": Line(x=list(range(1, len(y) + 1)), y=y)}
        chart = LineChart(title="t", lines=lines, across="k", up="u")
        return re.findall(f"<use [^>]*{COLOURS[0]}", svg(chart))

    assert dots(0.5)
    assert not dots(0.5, 0.6)


def test_what_is_counted_has_whole_ticks() -> None:
    lines = {"a": Line(x=[1, 2], y=[10.0, 10.5])}
    ticks = [one for one in texts(LineChart(title="t", lines=lines, across="k", up="u")) if one[:1].isdigit()]
    assert [one for one in ticks if not one.startswith("10.")] == ["1", "2"]


def test_logarithmic_axes_have_plain_numbers_at_the_positions() -> None:
    lines = {"a": Line(x=[1, 4, 64], y=[0.3, 2.0, 700.0])}
    shown = texts(LineChart(title="t", lines=lines, across="n", up="s", logarithmic=True))
    assert {"1", "4", "64", "0.5", "2", "100", "500"} <= set(shown)
    assert "3" not in shown


def test_panels_have_their_titles_and_one_legend() -> None:
    lines = {"linucb": Line(x=[0, 9], y=[0, 5], band=([0, 4], [0, 6])), "random": Line(x=[0, 9], y=[0, 8])}
    panels = {f"scenario {number}": Panel(lines=lines, says=f"says {number}") for number in range(4)}
    shown = texts(PanelChart(title="regret", panels=panels, across="requests"))
    for number in range(4):
        assert {f"scenario {number}", f"says {number}"} <= set(shown)
    assert shown.count("linucb") == shown.count("random") == 1
    assert shown.count("requests") == 4
