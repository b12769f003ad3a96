"""Estimates with intervals, from the top in their order, and bare values of others."""

from laserve.lab.charts.chart import svg
from laserve.lab.charts.intervals import Estimate, IntervalChart
from unit.lab.charts.drawn import texts


def test_rows_stand_in_their_order_from_the_top() -> None:
    rows = {name: Estimate(value=1.0, low=-1.0, high=3.0) for name in ("first", "second", "third")}
    shown = texts(IntervalChart(title="margin", rows=rows, across="points"))
    assert [one for one in shown if one in rows] == list(rows)
    assert {"margin", "points", "0.0"} <= set(shown)


def test_a_row_has_its_colour_and_a_bare_value_has_no_interval() -> None:
    rows = {
        "ours": Estimate(value=1.0, low=-1.0, high=3.0, colour="#123456"),
        "theirs": Estimate(value=2.64, colour="#654321"),
    }
    text = svg(IntervalChart(title="margin", rows=rows, across="points"))
    # Each dot has a path and a use of it; the interval is one more line.
    assert text.count("#123456") == text.count("#654321") + 1
