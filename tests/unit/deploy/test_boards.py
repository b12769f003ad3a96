"""The dashboards are those of their description, and show what the service exports."""

import re
from pathlib import Path

import pytest
import yaml

import generate
import promql
import queries
from laserve.metrics import Metrics

DEPLOY = Path(__file__).parents[3] / "deploy"
SERIES = promql.exported()
BOARDS = {board.name: board for board in queries.read()}
PANELS = [
    pytest.param(panel, id=f"{board.name}: {panel.title}")
    for board in BOARDS.values()
    for panel in board.panels
]
QUERIES = [
    pytest.param(expr, id=f"{board.name}: {title}")
    for board in BOARDS.values()
    for title, expr in [
        *((panel.title, target.expr) for panel in board.panels for target in panel.targets),
        *board.notes.items(),
    ]
]
RULES = [
    rule["expr"]
    for name in ("recording", "alerts")
    for group in yaml.safe_load((DEPLOY / f"prometheus/{name}.yml").read_text("utf-8"))["groups"]
    for rule in group["rules"]
]
#: Variables that Grafana sets itself.
BUILT_IN = {"__rate_interval"}


def variables(text: str) -> set[str]:
    return {match[0] or match[1] for match in re.findall(r"\$(?:{(\w+)}|(\w+))", text)}


@pytest.mark.parametrize("name", generate.BOARDS)
def test_a_committed_dashboard_is_what_its_description_generates(name: str) -> None:
    assert (generate.FOLDER / name).read_text("utf-8") == generate.document(generate.BOARDS[name])


def test_there_are_no_other_dashboards() -> None:
    assert {path.name for path in generate.FOLDER.iterdir()} == generate.BOARDS.keys()


@pytest.mark.parametrize("expr", QUERIES)
def test_each_metric_and_label_of_a_query_exists(expr: str) -> None:
    assert promql.problems(expr, SERIES) == []


def test_a_misspelt_metric_or_label_is_seen() -> None:
    assert promql.problems("sum by (arms) (rate(laserve_rm_failed_total[5m]))", SERIES) == [
        "laserve_rm_failed_total has no label arms"
    ]
    assert promql.problems('laserve_ready{arm="a"} > 0', SERIES) == ["laserve_ready has no label arm"]
    assert promql.problems("rate(laserve_rm_failed[5m])", SERIES) == ["no metric laserve_rm_failed"]


def test_each_metric_is_on_a_panel_or_in_a_rule() -> None:
    read = {
        re.sub(r"_(bucket|sum|count|total)$", "", name)
        for expr in [*(param.values[0] for param in QUERIES), *RULES]
        for name, _ in promql.selectors(expr)
    }
    declared = {family.name for family in Metrics().registry.collect()}
    assert declared - read == set()


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_says_what_it_shows_in_which_unit_and_when_it_has_no_data(panel: queries.Panel) -> None:
    defaults = panel.settings["fieldConfig"]["defaults"]
    assert panel.title
    assert panel.unit
    assert len(panel.settings["description"]) > 20
    assert panel.settings["description"].endswith(".")
    assert defaults["noValue"] == "no data"
    if "legend" in panel.settings["options"] and panel.kind != "heatmap":
        assert panel.settings["options"]["legend"]["showLegend"]
    for target in panel.targets:
        assert target.legend
        assert not re.search(r"\[\d", target.expr)  # the zoom or the reader decides on ranges
        grouped = set().union(*(labels for labels, _ in promql.grouped(target.expr)))
        assert set(re.findall(r"{{(\w+)}}", target.legend)) <= grouped


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_each_variable_of_a_board_is_used_and_each_used_one_exists(board: queries.Dashboard) -> None:
    texts = [target.expr for panel in board.panels for target in panel.targets] + [*board.notes.values()]
    texts += [panel.title for panel in board.panels]
    used = set().union(*map(variables, texts)) | {"datasource"}
    document = generate.render(generate.BOARDS[f"{board.name}.json"])
    assert used - BUILT_IN == {variable.name for variable in document.templating.list_val}
    for query in board.variables.values():
        selector, label = re.fullmatch(r"label_values\((.*), (\w+)\)", query).groups()
        ((name, braces),) = promql.selectors(selector)
        assert {label, *promql.matched(braces)} <= SERIES[name]


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_panels_and_queries_have_identities_of_their_own_and_no_panel_covers_another(
    board: queries.Dashboard,
) -> None:
    panels = [panel.settings for panel in board.panels]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24
    for panel in panels:
        assert [target["refId"] for target in panel["targets"]] == list("ABCDEFGH"[: len(panel["targets"])])
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}


def test_the_boards_use_the_provisioned_data_source_and_lie_where_the_provider_looks() -> None:
    provisioning = DEPLOY / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources/laserve.yaml").read_text("utf-8"))["datasources"]
    (provider,) = yaml.safe_load((provisioning / "dashboards/laserve.yaml").read_text("utf-8"))["providers"]
    scrape = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text("utf-8"))["global"]
    assert source["uid"] == "laserve-prometheus"
    assert source["url"] == "${PROMETHEUS_URL}"
    assert source["jsonData"]["timeInterval"] == scrape["scrape_interval"] == "15s"
    assert provider["options"]["path"] == "/var/lib/grafana/dashboards"
    for board in generate.BOARDS.values():
        chosen = generate.render(board).templating.list_val[0]
        assert (chosen.name, chosen.current.value) == ("datasource", source["uid"])
