"""Every metric that is declared moves by its real cause, and by exactly as much."""

import re

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

# Each of these modules registers causes.
from acceptance.metrics import decisions, feedback, health, requests, reward_models  # noqa: F401
from acceptance.metrics.causes import CAUSES, Cause
from acceptance.wire import Service
from laserve.metrics import Metrics

SERVERS = (
    "main",
    "narrow",
    "faulty",
    "hopeless",
    "armless",
    "patient",
    "frail",
    "growing",
    "watched",
    "keyed",
    "unhurried",
    "brief",
)
FAMILIES = {family for family, _ in CAUSES}


@pytest.mark.parametrize(
    "check", [check for _, check in CAUSES], ids=[f"{family}-{check.__name__}" for family, check in CAUSES]
)
@pytest.mark.usefixtures(*SERVERS)
def test_a_metric_moves_by_its_cause(check: Cause, request: pytest.FixtureRequest) -> None:
    check(request)


#: Moved where an engine dies for real (`integration/test_engine_death.py`), and by arms that read prompts
#: ahead (`unit/selection/test_answering.py`), which the fakes here do not.
ELSEWHERE = {"laserve_engine_restarts", "laserve_engine_up", "laserve_rm_overlap", "laserve_rm_truncated"}


def test_every_declared_metric_has_a_cause_here_or_elsewhere() -> None:
    assert {family.name for family in Metrics().registry.collect()} == FAMILIES | ELSEWHERE


def test_metrics_are_served_in_the_text_format_with_those_of_the_process(main: Service) -> None:
    answer = main.client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    process = {"process_open_fds", "process_resident_memory_bytes", "python_info"}
    assert FAMILIES | process <= families.keys()
    assert all(families[name].documentation for name in FAMILIES)
    assert not [name for name in families if not name.startswith(("laserve_", "process_", "python_"))]
    kinds = re.findall(r"^# TYPE (\S+)", answer.text, re.MULTILINE)
    assert len(kinds) == len(set(kinds))


#: Labels whose values are names or numbers, not constants of the code.
NAMES = {
    *("arm", "policy", "task", "caller", "endpoint", "status", "engine", "learn_from", "le"),
    *("version", "python", "vllm"),
}


@pytest.mark.parametrize("name", SERVERS)
def test_every_value_of_a_label_is_explained_in_the_help(name: str, request: pytest.FixtureRequest) -> None:
    service = request.getfixturevalue(name)
    families = text_string_to_metric_families(service.client.get("/metrics").text)
    unexplained = [
        (sample.name, label, value)
        for family in families
        if family.name.startswith("laserve_")
        for sample in family.samples
        for label, value in sample.labels.items()
        if label not in NAMES and f"`{value}`" not in family.documentation
    ]
    assert unexplained == []


def test_labels_do_not_grow_with_what_clients_send(main: Service) -> None:
    def series() -> set[object]:
        return set(main.samples())

    main.generate(task="first unknown task", policy="fixed:loglik", n=1)
    main.client.get("/first/unknown/path")
    main.client.request("BREW", "/metrics")
    before = series()
    main.generate(task="second unknown task", policy="fixed:loglik", n=1, metadata={"a": "b"})
    main.client.get("/second/unknown/path")
    main.client.request("STIR", "/metrics")
    main.client.post("/generate", json={"prompt": "a", "policy": "nothing"})
    main.client.post("/generate", json={"prompt": "a", "arm": "nobody"})
    httpx.get(f"{main.server.url}/decisions/whatever")
    new = {name.rpartition("_")[0] for name, _ in series() - before}
    assert new <= {"laserve_requests", "laserve_request_seconds", "laserve_caller_requests"}
    assert not [labels for _, labels in series() if "second" in repr(labels) or "nothing" in repr(labels)]
