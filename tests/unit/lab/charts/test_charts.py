"""Charts are well-formed SVG that stands alone, with every value at its position."""

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laserve.lab.charts.intervals import Estimate, interval_chart
from laserve.lab.charts.lines import Series, line_chart
from laserve.lab.charts.shares import share_chart
from laserve.lab.charts.svg import COLOURS, Axis, apart, element, label

SVG = "{http://www.w3.org/2000/svg}"
VALUES = st.lists(st.floats(-100, 100), min_size=1, max_size=8)


def parsed(chart: str) -> ElementTree.Element:
    assert "http" not in chart.replace("http://www.w3.org/2000/svg", ""), "nothing is fetched"
    return ElementTree.fromstring(chart)


def texts(root: ElementTree.Element) -> list[str]:
    return [one.text or "" for one in root.iter(f"{SVG}text")]


def test_texts_and_attributes_are_escaped() -> None:
    assert "<b>" not in label(0, 0, "<b>&") + element("g", id='"><b>')


@given(values=VALUES, wanted=st.integers(2, 10))
def test_ticks_are_round_values_within_the_axis(values: list[float], wanted: int) -> None:
    axis = Axis.over(values, start=0, end=100)
    ticks = axis.ticks(wanted)
    assert 1 <= len(ticks) <= wanted + 1
    assert all(axis.low - 1e-9 <= tick <= axis.high + 1e-9 for tick in ticks)


def test_ticks_of_what_is_counted_are_whole() -> None:
    assert Axis(low=1, high=2, start=0, end=100).ticks(least=1.0) == [1.0, 2.0]


@given(values=VALUES)
def test_an_axis_places_its_values_within_its_stretch_in_order(values: list[float]) -> None:
    axis = Axis.over(values, start=380, end=20)
    placed = [axis.at(value) for value in sorted(values)]
    assert all(20 <= position <= 380 for position in placed)
    assert placed == sorted(placed, reverse=True)


@given(positions=st.lists(st.floats(0, 300), max_size=9))
def test_labels_keep_their_distance_and_their_order(positions: list[float]) -> None:
    moved = apart(positions, least=14)
    order = sorted(range(len(positions)), key=lambda index: positions[index])
    for before, after in pairwise(order):
        assert moved[after] - moved[before] >= 14 - 1e-9


def test_labels_that_are_apart_already_stay() -> None:
    assert apart([100.0, 0.0, 50.0], least=14) == [100.0, 0.0, 50.0]


def test_every_line_is_drawn_and_named() -> None:
    series = {
        "a < b": Series(values=[1.0, 2.0, 3.0], colour=COLOURS[0]),
        "flat": Series(values=[1.0, 1.0, 1.0], colour=COLOURS[1], dashed=True),
    }
    root = parsed(line_chart([1, 2, 3], series, title="F1", across="k", up="points"))
    lines = list(root.iter(f"{SVG}polyline"))
    assert [len((one.get("points") or "").split()) for one in lines] == [3, 3]
    assert [bool(one.get("stroke-dasharray")) for one in lines] == [False, True]
    assert {"a < b", "flat", "F1", "k", "points"} <= set(texts(root))


def test_a_line_of_one_point_can_be_drawn() -> None:
    parsed(line_chart([1], {"a": Series(values=[0.5], colour="red")}, title="t", across="k", up="u"))


def test_shares_fill_their_row() -> None:
    rows = {"qa": {"a": 0.25, "b": 0.75}, "math": {"b": 1.0}}
    root = parsed(share_chart(rows, {"a": "red", "b": "blue"}, title="arms", width=690))
    bars = [one for one in root.iter(f"{SVG}rect") if one.find(f"{SVG}title") is not None]
    lengths = [float(one.get("width") or 0) for one in bars]
    assert lengths == pytest.approx([125.0, 375.0, 0.0, 500.0])
    assert {"qa", "math", "a", "b", "25", "75", "100"} <= set(texts(root))


def test_intervals_show_their_ends_and_what_others_found_is_a_diamond() -> None:
    rows = {"ours": Estimate(value=1.0, low=-1.0, high=3.0), "theirs": Estimate(value=2.64)}
    chart = interval_chart(rows, title="margin", across="points")
    root = parsed(chart)
    assert len(list(root.iter(f"{SVG}circle"))) == len(list(root.iter(f"{SVG}polygon"))) == 1
    assert "ours: 1.00 (-1.00 to 3.00)" in chart
    assert "theirs: 2.64" in chart
    assert re.search(r'viewBox="0 0 760 \d+"', chart)
