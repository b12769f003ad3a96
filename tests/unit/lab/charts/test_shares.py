"""Shares of a whole: each written into its bar, on a colour from which it differs."""

import re

from laserve.lab.charts.chart import svg
from laserve.lab.charts.shares import ShareChart
from unit.lab.charts.drawn import texts


def chart(rows: dict[str, dict[str, float]], **colours: str) -> ShareChart:
    return ShareChart(title="arms", rows=rows, colours=colours)


def test_shares_are_written_where_they_have_room_and_parts_are_named() -> None:
    rows = {"qa": {"a": 0.26, "b": 0.7, "c": 0.04}, "math": {"b": 1.0}}
    shown = texts(chart(rows, a="#0072b2", b="#e69f00", c="#222222"))
    assert {"arms", "qa", "math", "a", "b", "c", "26", "70"} <= set(shown)
    assert shown.count("100") == 2, "the share, and the end of the axis"
    assert "4" not in shown


def test_bars_fill_their_row() -> None:
    rows = {"qa": {"a": 0.25, "b": 0.75}, "math": {"b": 1.0}}
    text = svg(chart(rows, a="#aa0000", b="#0000bb"))
    bars = [
        [float(x) for x, _ in re.findall(r"[ML] (-?[\d.]+) (-?[\d.]+)", path)]
        for path in re.findall(r'<path d="([^"]*)" clip-path="[^"]*" style="fill: #(?:aa0000|0000bb)"', text)
    ]
    lengths = [max(each) - min(each) for each in bars]
    whole = max(lengths)
    assert sorted(round(length / whole, 3) for length in lengths) == [0.0, 0.25, 0.75, 1.0]


def test_a_number_is_dark_on_a_light_colour_and_light_on_a_dark_one() -> None:
    def fill(colour: str) -> str:
        text = svg(chart({"qa": {"a": 0.97}}, a=colour))
        return re.findall(r"<text([^>]*)>97</text>", text)[0]

    assert "#ffffff" in fill("#222222")
    assert "#ffffff" not in fill("#e69f00")
