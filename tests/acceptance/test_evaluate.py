"""`POST /policies/evaluate` and `laserve ope`: what other policies would have earned."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from acceptance.restarts import salted, started
from acceptance.wire import Service
from laserve.api.bodies.answers import ErrorBody
from laserve.api.bodies.bandit import EvaluationReport


def evaluate(service: Service, *policies: str, **body: Any) -> dict[str, Any]:
    answer = service.client.post("/policies/evaluate", json={"policies": policies} | body)
    assert answer.status_code == 200, answer.text
    EvaluationReport.model_validate(answer.json())
    return answer.json()


def test_policies_are_judged_by_the_log(main: Service) -> None:
    decision = main.decide(task="math")
    assert main.feedback(decision, reward=1.0).status_code == 200
    report = evaluate(main, "fixed:loglik", "random", task="math")
    assert [each["policy"] for each in report["policies"]] == ["fixed:loglik", "random"]
    (judged,) = [each for each in report["policies"] if each["policy"] == "random"]
    assert judged["decisions"] >= judged["answered"] >= 1
    for name in ("ips", "snips", "dr"):
        assert (judged[name]["value"] is None) == (judged[name]["why"] is not None)


def test_both_paths_serve_it(main: Service) -> None:
    answer = main.client.post("/v1/policies/evaluate", json={"policies": ["random"]})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "policies"),
        ({"policies": []}, "policies"),
        ({"policies": ["linucb"]}, "policies"),
        ({"policies": ["fixed:nobody"]}, "policies"),
        ({"policies": ["99999999"]}, "policies"),
        ({"policies": ["random"], "since": -1}, "since"),
        ({"policies": ["random"], "surprise": 1}, "surprise"),
    ],
)
def test_what_cannot_be_judged_is_refused_by_its_field(
    main: Service, body: dict[str, Any], param: str
) -> None:
    answer = main.client.post("/policies/evaluate", json=body)
    assert answer.status_code == 422
    assert ErrorBody.model_validate(answer.json()).error.param == param


def run_ope(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "laserve", "ope", "--profile", "fake", "--policy", "random", *options]
    env = os.environ | {"LASERVE_DATA_DIR": str(folder), "LASERVE_STORAGE__KIND": "sqlite"}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def ope(folder: Path, *options: str) -> str:
    result = run_ope(folder, *options)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_decisions_from_before_another_generator_are_told_apart(tmp_path: Path) -> None:
    with started(tmp_path, **salted("a")) as service:
        for _ in range(3):
            service.decide()
        assert evaluate(service, "random")["changes"] == []
    with started(tmp_path, **salted("b")) as service:
        for _ in range(2):
            service.decide()
        report = evaluate(service, "random")
        (change,) = report["changes"]
        details = {"what": "generator", "arm": None, "position": service.policy()["log_position"]}
        assert change | details | {"decisions_before": 3} == change
        assert report["policies"][0]["decisions"] == 5
        later = evaluate(service, "random", since=change["created_at"])
        assert (later["policies"][0]["decisions"], later["changes"]) == (2, [])
    assert "3 decisions are from before the generator changed; --since " in " ".join(ope(tmp_path).split())


def test_the_command_says_the_same_beside_the_running_service(main: Service, tmp_path: Path) -> None:
    out = tmp_path / "ope.json"
    assert "had the policy drawn the arms" in ope(main.folder, "--json", str(out))
    (value,) = json.loads(out.read_text())["values"]
    assert value["policy"] == "random"
    assert value["decisions"] >= 1


def test_the_command_refuses_a_policy_by_its_option(main: Service) -> None:
    result = run_ope(main.folder, "--policy", "fixed:nobody")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("laserve: --policy: no arm 'nobody' in the log")


def test_the_command_shows_no_empty_table(main: Service) -> None:
    shown = ope(main.folder, "--task", "unheard-of")
    assert "no decision has feedback" in " ".join(shown.split())
    assert "answer rate" not in shown
