"""`POST /policies/evaluate` and `laserve ope`: what other policies would have earned."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from acceptance.wire import Service
from laserve.api.answers import ErrorBody, EvaluationReport


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


def test_the_command_says_the_same_beside_the_running_service(main: Service, tmp_path: Path) -> None:
    out = tmp_path / "ope.json"
    command = [sys.executable, "-m", "laserve", "ope", "--profile", "fake", "--policy", "random"]
    env = os.environ | {"LASERVE_DATA_DIR": str(main.folder), "LASERVE_STORAGE__KIND": "sqlite"}
    done = subprocess.run([*command, "--json", str(out)], env=env, capture_output=True, text=True, check=True)
    assert "had the policy drawn the arms" in done.stdout
    (value,) = json.loads(out.read_text())["values"]
    assert value["policy"] == "random"
    assert value["decisions"] >= 1
