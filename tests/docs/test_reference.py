"""The documentation says what the code does."""

import inspect
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from laserve import errors
from laserve.api.app import create_app
from laserve.cli import main
from laserve.config import ArmSettings, Section, Settings, load
from laserve.errors import LaserveError
from laserve.generation.prompts import EXAMPLES
from laserve.metrics import Metrics
from laserve.scoring.registry import KINDS, builder
from laserve.serve.wiring import make_service
from pages.markdown import DOCS, ROOT, Page
from processes import serving


def reference(name: str) -> str:
    return (DOCS / "reference" / f"{name}.md").read_text(encoding="utf-8")


def test_the_generated_pages_are_what_the_code_says() -> None:
    program = [sys.executable, str(ROOT / "docs" / "reference.py"), "--check"]
    env = os.environ | {"LASERVE_POLICY__ALPHA": "0.9"}
    done = subprocess.run(program, cwd="/", env=env, capture_output=True, text=True, check=False)
    if done.returncode:  # the output says what to run
        pytest.fail(done.stdout + done.stderr, pytrace=False)


def settings(model: type, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Name and description of every setting."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from settings(field.annotation, f"{prefix}{name}.")
        else:
            assert field.description is not None, f"{prefix}{name}"
            yield f"{prefix}{name}", field.description


def test_every_setting_stands_in_the_reference_with_its_variable_and_meaning() -> None:
    lines = reference("settings").splitlines()
    for name, description in settings(Settings):
        row = f"| `{name}`<br>`LASERVE_{name.replace('.', '__').upper()}` | "
        assert any(line.startswith(row) and description in line for line in lines), name
    assert [
        name for name in ArmSettings.model_fields if f"\n| `{name}` | " not in reference("settings")
    ] == []


def test_every_kind_of_arm_stands_in_the_reference_with_its_options() -> None:
    sections = dict(part.split("\n", 1) for part in reference("settings").split("\n### ")[1:])
    assert list(sections) == list(KINDS)
    for kind in KINDS.keys() - {"python"}:
        options = inspect.signature(builder(kind, {})).parameters.keys() - {"encoder", "engines", "cache_dir"}
        assert [name for name in options if f"\n| `{name}` | " not in sections[kind]] == [], kind


def test_every_kind_and_every_policy_is_described() -> None:
    assert [kind for kind in KINDS if f"\n| `{kind}` |" not in reference("reward-models")] == []
    named = dict(settings(Settings))["policy.name"].split("`")[1::2]
    assert len(named) == 12
    assert [name for name in named if f"\n| `{name}` |" not in reference("policies")] == []


def test_every_metric_stands_in_the_reference_with_its_type_labels_and_help() -> None:
    page = reference("metrics")
    for collector in Metrics().registry._collector_to_names:
        if not hasattr(collector, "_labelnames"):  # the process's own
            continue
        name = collector._name + ("_total" if collector._type == "counter" else "")
        labels = ", ".join(f"`{label}`" for label in collector._labelnames)
        kind = f"{collector._type}: {labels}" if labels else collector._type
        assert f"| `{name}`<br>{kind} | {collector._documentation} |" in page, name


def commands(group: click.Group, prefix: str) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}", command


def test_every_command_stands_in_the_reference_with_its_options() -> None:
    sections = dict(part.split("\n", 1) for part in reference("commands").split("\n## ")[1:])
    found = dict(commands(main, "laserve"))
    assert sections.keys() == found.keys()
    for path, command in found.items():
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
                assert parameter.help, f"{path} {names}"
                row = f"\n| {names} | "
                assert row in sections[path], f"{path} {names}"
                assert " ".join(parameter.help.split()) in sections[path]


def test_every_endpoint_stands_in_the_reference_with_its_fields_and_answers() -> None:
    page = Page.read(DOCS / "reference" / "http.md")
    sections = dict(part.split("\n", 1) for part in page.text.split("\n## ")[1:])
    bodies = dict(part.split("\n", 1) for part in page.text.split("\n### ")[1:])
    openapi = create_app(make_service(load(profile="fake"))).openapi()
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            section = sections[f"{method.upper()} {path}"]
            assert "```bash\ncurl " in section or "\ncurl " in section, path
            assert [status for status in operation["responses"] if f"\n| {status} | " not in section] == []
            for parameter in operation.get("parameters", ()):
                assert f"\n| `{parameter['name']}` | ".lower() in section.lower(), path
            content = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if content:
                schema = openapi["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
                assert [name for name in schema["properties"] if f"\n| `{name}` | " not in section] == []
    for name, body in bodies.items():
        schema = openapi["components"]["schemas"][name]
        assert [field for field in schema["properties"] if f"\n| `{field}` | " not in body] == []
    assert not [line for line in page.text.splitlines() if line.endswith("| - |")], "a field has no meaning"


def test_every_error_stands_in_the_reference_with_its_status() -> None:
    page = reference("errors")
    classes = [
        one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, LaserveError)
    ]
    assert len(classes) > 15
    for error in classes:
        rows = (f"\n| {error.status} | `{error.code}` | `{error.type}` | ", f"\n| `{error.code}` | ")
        assert any(row in page for row in rows), error.__name__


@pytest.mark.parametrize("sample", ["gpu.yaml", "remote.yaml"])
def test_the_sample_configurations_are_valid(sample: str) -> None:
    assert load(config=ROOT / "deploy" / sample).generation.model


def test_the_examples_in_the_prompt_are_about_nothing_in_the_demo() -> None:
    demo = (ROOT / "service/laserve/lab/data/demo.json").read_text(encoding="utf-8")
    assert [example.answer for example in EXAMPLES if f'"{example.answer}"' in demo] == []


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
