"""Every query of boards and rules, run by a Prometheus that scrapes live services under every fault."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import draw
import promql
import queries
from monitoring.pictures import span
from monitoring.scene import CONFIGURATION, Scene, expression, scene, shorter
from monitoring.story import CAUSED, play

BOARDS = queries.read()
QUERIES = {
    f"{board.name}: {panel.title}: {target.legend}": target
    for board in BOARDS
    for panel in board.panels
    for target in panel.targets
}
NOTES = {f"{board.name}: {name}": expr for board in BOARDS for name, expr in board.notes.items()}
VARIABLES = {f"{board.name}: {name}": query for board in BOARDS for name, query in board.variables.items()}


def rules(name: str) -> list[dict[str, str]]:
    groups = yaml.safe_load((CONFIGURATION / f"{name}.yml").read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


RECORDED = [rule["record"] for rule in rules("recording")]
ALERTS = {rule["alert"]: rule["expr"] for rule in rules("alerts")}
#: Alerts whose causes last too long for a test, or harm the machine; promtool's cases show that they fire.
NOT_CAUSED = {
    "LaserveArmStarving": "needs hundreds of decisions in the shorter span, nearly all of one arm",
    "LaserveDiskFilling": "needs a disk that fills",
    "LaserveDiskLow": "needs a disk with less than 1 GiB",
    "LaserveScoreDrift": "needs another distribution of scores than the fake scorers have",
    "LaserveSnapshotOld": "needs ten thousand events",
}


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("scene")) as ready:
        play(ready)
        yield ready


def moves(expr: str, series: list[queries.Series]) -> bool:
    """Whether a value changed; for what is read as it is, also whether a series came or went."""
    if any(not each.steady for each in series):
        return True
    return "[" not in expr and len({each.times for each in series}) > 1


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_of_a_panel_has_data_that_the_story_moves(name: str, played: Scene) -> None:
    target = QUERIES[name]
    series = played.over(expression(target.expr))
    assert series
    assert not [each for each in series if each.broken]
    assert moves(target.expr, series)
    assert any(value != 0 for each in series for value in each.values)
    named = set(re.findall(r"{{(\w+)}}", target.legend))
    assert all(named <= each.labels.keys() for each in series)


@pytest.mark.parametrize("name", NOTES)
def test_an_annotation_marks_a_part_of_the_story(name: str, played: Scene) -> None:
    series = played.over(expression(NOTES[name]))
    assert series
    assert all(len(each.values) < len(played.over("up")[0].values) / 2 for each in series)


@pytest.mark.parametrize("name", VARIABLES)
def test_a_variable_has_values(name: str, played: Scene) -> None:
    query = queries.substitute(VARIABLES[name], dict.fromkeys(("instance", "policy", "task", "arm"), ".+"))
    assert len(played.prometheus.values(query, start=played.began, end=played.began + 600)) > 1


@pytest.mark.parametrize("name", RECORDED)
def test_a_recording_rule_has_data_that_the_story_moves(name: str, played: Scene) -> None:
    series = played.over(name)
    assert series
    assert not [each for each in series if each.broken]
    assert any(not each.steady for each in series)


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_reads_series_that_exist_and_is_evaluated(name: str, played: Scene) -> None:
    for metric, braces in promql.selectors(ALERTS[name]):
        assert played.over(f"{metric}{braces}"), f"{metric}{braces}"
    assert not [each for each in played.over(shorter(ALERTS[name]).replace("86400", "1")) if each.broken]


def test_the_story_causes_every_alert_that_it_can() -> None:
    assert CAUSED | NOT_CAUSED.keys() == ALERTS.keys()
    assert not CAUSED & NOT_CAUSED.keys()


@pytest.mark.parametrize("name", sorted(CAUSED))
def test_an_alert_fires_by_its_cause_and_not_before(name: str, played: Scene) -> None:
    (series, *_) = played.over(f'ALERTS{{alertname="{name}",alertstate="firing"}}')
    assert series.times[0] > played.began + 1


def test_no_rule_failed(played: Scene) -> None:
    answer = played.prometheus.rules()
    assert {rule["health"] for rule in answer} == {"ok"}
    assert len(answer) == len(RECORDED) + len(ALERTS)


def test_a_query_with_a_misspelt_label_has_no_data(played: Scene) -> None:
    expr = expression(next(iter(QUERIES.values())).expr)
    assert played.over(expr)
    assert not played.over(expr.replace("task=~", "tasks=~"))
    grouped = played.over(expr.replace("by (arm)", "by (arms)"))
    assert not any("arm" in each.labels for each in grouped)


def test_the_pictures_are_small_and_show_every_panel(played: Scene, tmp_path: Path) -> None:
    draw.draw_all(span(played, played.began, time.time()), tmp_path)
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert sizes.keys() == {f"board-{board.name}.png" for board in BOARDS}
    assert max(sizes.values()) < 150_000


@pytest.mark.parametrize("board", BOARDS, ids=[board.name for board in BOARDS])
def test_a_panel_without_data_says_so_in_the_picture(board: queries.Dashboard, played: Scene) -> None:
    day = 86400
    figure = draw.draw(board, span(played, played.began - 2 * day, played.began - day))
    said = [text.get_text() for ax in figure.axes for text in ax.texts]
    assert said == ["no data"] * len(board.panels)
    assert draw.NOTE in figure.get_suptitle()
