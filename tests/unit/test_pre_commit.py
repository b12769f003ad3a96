"""The hooks of .pre-commit-config.yaml run what this project installs, and nothing else."""

import re
import shlex
import sys
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
REPOSITORIES: list[dict[str, Any]] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))[
    "repos"
]
HOOKS: dict[str, dict[str, Any]] = {hook["id"]: hook for repo in REPOSITORIES for hook in repo["hooks"]}
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
LOCK = (ROOT / "deploy" / "requirements-cpu.lock").read_text("utf-8")


def test_hooks_fetch_nothing() -> None:
    assert {repo["repo"] for repo in REPOSITORIES} == {"local"}
    assert {hook["language"] for hook in HOOKS.values()} == {"system"}


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_runs_a_make_target_or_a_tool_that_make_install_installs(hook: str) -> None:
    program, argument, *_ = shlex.split(HOOKS[hook]["entry"])
    if program == "make":
        assert re.search(rf"^{re.escape(argument)}:", MAKEFILE, re.MULTILINE)
        return
    folder, tool = Path(program).parent, Path(program).name
    assert folder == Path(".venv/bin"), "a tool of the environment, wherever the hook is started"
    assert re.search(rf"^{re.escape(tool)}==", LOCK, re.MULTILINE)
    scripts = {file.name for file in distribution(tool).files or () if file.parent.name == "bin"}
    assert tool in scripts
    assert (Path(sys.prefix) / "bin" / tool).exists()


def test_every_commit_is_formatted_and_linted_and_every_push_is_checked() -> None:
    commit = [shlex.split(hook["entry"])[1] for hook in HOOKS.values() if "pre-commit" in hook["stages"]]
    push = [hook["entry"] for hook in HOOKS.values() if "pre-push" in hook["stages"]]
    assert commit == ["format", "check"]
    assert push == ["make check"]
