"""The documentation says what the code does."""

import json
import re
import subprocess
import sys
from pathlib import Path

import click
import httpx
import pytest
import yaml

from laserve.cli import main
from laserve.config import Section, Settings, load
from laserve.generation.prompts import EXAMPLES
from laserve.metrics import Metrics
from laserve.scoring.registry import KINDS
from processes import serving

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def setting_rows(model: type, prefix: str = "") -> list[str]:
    rows = []
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            rows += setting_rows(field.annotation, f"{prefix}{name}.")
        else:
            rows.append(f"| `{prefix}{name}` | ")
            assert field.description in README, f"{prefix}{name}"
    return rows


def commands(group: click.Group, prefix: str) -> list[str]:
    names = []
    for name, command in group.commands.items():
        names += (
            commands(command, f"{prefix} {name}")
            if isinstance(command, click.Group)
            else [f"{prefix} {name}"]
        )
    return names


def test_every_setting_stands_in_the_readme() -> None:
    assert [row for row in setting_rows(Settings) if row not in README] == []


def test_every_metric_stands_in_the_readme_with_its_type_and_labels() -> None:
    for collector in Metrics().registry._collector_to_names:
        name = collector._name + ("_total" if collector._type == "counter" else "")
        labels = ", ".join(f"`{label}`" for label in collector._labelnames) or "-"
        assert f"| `{name}` | {collector._type} | {labels} |" in README, name


def test_every_command_stands_in_the_readme() -> None:
    assert [command for command in commands(main, "laserve") if f"`{command}`" not in README] == []


def test_every_scorer_kind_stands_in_the_readme() -> None:
    assert [kind for kind in KINDS if f"| `{kind}` |" not in README] == []


@pytest.mark.parametrize("sample", ["gpu.yaml", "remote.yaml"])
def test_the_sample_configurations_are_valid(sample: str) -> None:
    assert load(config=ROOT / "deploy" / sample).generation.model


def test_the_arms_of_the_readme_can_be_configured(tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", README, re.S)
    path = tmp_path / "arms.yaml"
    path.write_text(block)
    assert [arm.name for arm in load(config=path).arms] == [
        arm["name"] for arm in yaml.safe_load(block)["arms"]
    ]


def test_the_examples_in_the_prompt_are_about_nothing_in_the_demo() -> None:
    demo = (ROOT / "service/laserve/lab/data/demo.json").read_text(encoding="utf-8")
    assert [example.answer for example in EXAMPLES if f'"{example.answer}"' in demo] == []


def test_the_readme_s_commands_work_when_pasted(tmp_path: Path) -> None:
    curls = re.findall(r"curl .*?-d '\{.*?\}'", README, re.S)
    assert len(curls) == 2, "the quick start has a /generate and a /feedback"
    with serving(tmp_path / "log", "--profile", "fake") as server:
        pasted = [curl.replace("http://127.0.0.1:8000", server.url) for curl in curls]
        decision = json.loads(subprocess.check_output(pasted[0], shell=True))
        feedback = pasted[1].replace("PASTE-THE-DECISION-ID", decision["decision_id"])
        assert json.loads(subprocess.check_output(feedback, shell=True))["status"] == "recorded"
        python = re.findall(r"```python\n(.*?)```", README, re.S)[0].replace(
            "http://127.0.0.1:8000", server.url
        )
        printed = subprocess.check_output([sys.executable, "-c", python], text=True)
        assert printed.strip()


def test_every_endpoint_stands_in_the_readme(tmp_path: Path) -> None:
    with serving(tmp_path / "log", "--profile", "fake") as server:
        paths = httpx.get(f"{server.url}/openapi.json").json()["paths"]
    missing = [
        f"{method.upper()} {path}"
        for path, methods in paths.items()
        for method in methods
        if f"| `{method.upper()} {path}` |" not in README
    ]
    assert missing == []


def test_the_demo_runs_against_a_service_and_tells_what_it_learned(tmp_path: Path) -> None:
    with serving(tmp_path / "log", "--profile", "fake") as server:
        command = [
            sys.executable,
            "-m",
            "laserve",
            "demo",
            "--url",
            server.url,
            "--json",
            str(tmp_path / "out"),
        ]
        shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        learned = server.client.get("/policy").json()["decisions"]
    figures = json.loads((tmp_path / "out").read_text())
    assert figures["questions"] == learned == figures["events"] >= 40
    assert figures["quality"]["average_candidate"] <= figures["quality"]["best_possible"]
    assert sum(arm["share"] for arm in figures["arms"].values()) == pytest.approx(1)
    assert all(arm in shown for arm in figures["arms"])
