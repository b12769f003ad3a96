"""The configuration and the rules of Prometheus, as `promtool` and the runbook see them."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

import promql
import system

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "deploy" / "prometheus"
RUNBOOK = ROOT / "docs" / "reference" / "alerts.md"


def rules(name: str) -> list[dict[str, Any]]:
    groups = yaml.safe_load((FOLDER / f"{name}.yml").read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


ALERTS = {rule["alert"]: rule for rule in rules("alerts")}
RECORDED = {rule["record"]: rule["expr"] for rule in rules("recording")}
CASES = sorted((FOLDER / "tests").glob("*.yml"))


def series() -> dict[str, set[str]]:
    """What a scrape and the recording rules give."""
    known = promql.exported()
    for name, expr in RECORDED.items():
        known[name] = {"instance"}.union(*(labels for labels, _ in promql.grouped(expr))) - {"le"}
    for name, expr in RECORDED.items():  # a rule without an aggregation has the labels of what it reads
        if not list(promql.grouped(expr)):
            known[name] = set().union(*(known[metric] for metric, _ in promql.selectors(expr)))
    return known


def promtool(*arguments: str | Path) -> None:
    done = subprocess.run([system.find("promtool"), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_accepts_the_configuration_and_the_rules() -> None:
    promtool("check", "config", FOLDER / "prometheus.yml")
    promtool("check", "rules", FOLDER / "recording.yml", FOLDER / "alerts.yml")


@pytest.mark.parametrize("case", CASES, ids=[case.stem for case in CASES])
def test_alerts_fire_by_their_causes_alone(case: Path) -> None:
    promtool("test", "rules", case)


def test_each_alert_is_tested_with_its_cause_without_it_and_without_traffic() -> None:
    expected: dict[str, set[str]] = {name: set() for name in ALERTS}
    for case in CASES:
        for test in yaml.safe_load(case.read_text("utf-8"))["tests"]:
            for check in test["alert_rule_test"]:
                quiet = "no traffic" if case.stem == "idle" else "no cause"
                expected[check["alertname"]].add("cause" if check["exp_alerts"] else quiet)
    assert expected == {name: {"cause", "no cause", "no traffic"} for name in ALERTS}


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_how_bad_it_is_what_it_means_and_where_its_paragraph_is(name: str) -> None:
    alert = ALERTS[name]
    assert alert["labels"]["severity"] in {"info", "warning", "critical"}
    assert re.fullmatch(r"\d+[mh]", alert["for"])
    assert alert["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert alert["annotations"]["runbook_url"] == f"docs/reference/alerts.md#{name.lower()}"
    assert f"\n## {name}\n" in RUNBOOK.read_text("utf-8")


def test_the_runbook_has_no_paragraph_of_an_alert_that_is_gone() -> None:
    assert re.findall(r"^## (Laserve\w+)$", RUNBOOK.read_text("utf-8"), re.MULTILINE) == list(ALERTS)


@pytest.mark.parametrize("rule", [*ALERTS, *RECORDED])
def test_each_metric_and_label_of_a_rule_exists(rule: str) -> None:
    expr = RECORDED.get(rule) or ALERTS[rule]["expr"]
    assert promql.problems(expr, series()) == []


def test_each_recorded_series_is_named_for_the_service() -> None:
    assert all(name.startswith("laserve:") for name in RECORDED)
