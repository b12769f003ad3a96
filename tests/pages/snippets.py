"""The blocks of a page, run in order; CONTRIBUTING.md says what a block may be.

Comments directly before a block: ``not run: REASON`` (then the block is only read), ``fails: TEXT`` (it ends
with an error that prints TEXT), ``before: COMMAND`` (run first), ``stop the service``.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml

from laserve.config import GenerationSettings, load
from laserve.errors import ConfigError
from laserve.serve.wiring import make_service
from pages import commands
from pages.markdown import Block, Page
from pages.scratch import Ran, Scratch
from system import find

REASONS = {
    "needs a GPU",
    "needs Docker",
    "needs systemd",
    "installs",
    "needs the models",
    "takes minutes",
    "another machine",
}
#: Languages whose blocks hold no program.
PLAIN = {"text", "mermaid"}
_NAME = re.compile(r"# ([\w-]+\.(?:py|ya?ml))\n")
_COMMENT = re.compile(r"(not run|fails|before): (.+)|stop the service", re.DOTALL)
_VARIABLE = re.compile(r"\$\{(\w+)\}")


class SnippetError(AssertionError):
    """A block is wrong; the message has its page and line."""


def run_page(page: Page, folder: Path) -> None:
    """Run or read every block of a page, in an empty folder. Raises SnippetError for the first wrong one."""
    blocks = [block for block in page.blocks() if block.language not in PLAIN]
    if not blocks:
        return
    with Scratch(folder) as scratch:
        for block in blocks:
            try:
                _check(block, scratch)
            except (AssertionError, ConfigError) as error:
                raise SnippetError(f"{page.where(block.line)}: {error}") from None


def _check(block: Block, scratch: Scratch) -> None:
    said: dict[str, str] = {}
    for comment in block.comments:
        if not (match := _COMMENT.fullmatch(comment)):
            raise AssertionError(f"<!-- {comment} --> is no comment that a block may have")
        said[match[1] or "stop"] = match[2] or ""
    if block.language not in LANGUAGES:
        known = ", ".join(sorted({*LANGUAGES, *PLAIN}))
        raise AssertionError(f"```{block.language} is none of the languages: {known}")
    if "not run" in said:
        if said["not run"] not in REASONS:
            raise AssertionError(f"not run: {said['not run']} is none of: {', '.join(sorted(REASONS))}")
        READ.get(block.language, _read_nothing)(block)
        return
    if "stop" in said:
        scratch.stop()
    if "before" in said:
        _ended(scratch.run(_BASH, said["before"]), None)
    LANGUAGES[block.language](block, scratch, said.get("fails"))


# languages

_BASH = ["bash", "-euo", "pipefail", "-c"]
_PYTHON = [sys.executable, "-c"]


def _ended(ran: Ran, expected: str | None) -> None:
    printed = f"{ran.out}\n{ran.err}".strip()
    if expected is None and ran.status:
        raise AssertionError(f"ended with status {ran.status}:\n{printed}")
    if expected is not None and not ran.status:
        raise AssertionError(f"should fail, and did not:\n{printed}")
    if expected is not None and expected not in printed:
        raise AssertionError(f"failed, but did not print {expected!r}:\n{printed}")


def _bash(block: Block, scratch: Scratch, expected: str | None) -> None:
    _read_bash(block)
    _ended(scratch.run(_BASH, block.text), expected)


def _python(block: Block, scratch: Scratch, expected: str | None) -> None:
    if name := _NAME.match(block.text):
        scratch.start()
        (scratch.folder / name[1]).write_text(scratch.filled(block.text), encoding="utf-8")
        ran = scratch.run(_BASH, f"python {name[1]}")
    else:
        ran = scratch.run(_PYTHON, block.text)
    _ended(ran, expected)


def _yaml(block: Block, scratch: Scratch, expected: str | None) -> None:
    name = _NAME.match(block.text)
    path = scratch.folder / (name[1] if name else ".settings.yaml")
    path.write_text(block.text, encoding="utf-8")
    if path.name.startswith("prometheus") and path.suffix == ".yml":
        _promtool(scratch, "check", "config", "--syntax-only", str(path))
    elif path.stem in ("alerts", "recording"):
        _promtool(scratch, "check", "rules", str(path))
    elif path.suffix == ".yml" or path.stem == "compose":
        _read_yaml(block)
    else:
        _settings(path, scratch, expected)


def _settings(path: Path, scratch: Scratch, expected: str | None) -> None:
    """Load the settings and make their parts, none of which is started."""
    variables = dict.fromkeys(_VARIABLE.findall(path.read_text(encoding="utf-8")), "value")
    try:
        with chdir(scratch.folder), patch.dict(os.environ, variables):
            settings = load(config=path)
            if not any(arm.kind == "python" for arm in settings.arms):  # their packages are not installed
                fake = GenerationSettings(kind="fake", model="fake")  # the page's model may not be here
                make_service(settings.model_copy(update={"generation": fake}))
    except ConfigError as error:
        if expected is None or expected not in error.message:
            raise
    else:
        if expected is not None:
            raise AssertionError(f"should be refused with {expected!r}, and was not")


def _promtool(scratch: Scratch, *arguments: str) -> None:
    done = subprocess.run(
        [find("promtool"), *arguments], cwd=scratch.folder, capture_output=True, text=True, check=False
    )
    _ended(Ran(status=done.returncode, out=done.stdout, err=done.stderr), None)


def _promql(block: Block, scratch: Scratch, _expected: str | None) -> None:
    """Expressions, apart by empty lines."""
    rules = [
        {"record": f"r{number}", "expr": text}
        for number, text in enumerate(re.split(r"\n\s*\n", block.text.strip()))
    ]
    path = scratch.folder / ".rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "page", "rules": rules}]}))
    _promtool(scratch, "check", "rules", str(path))


def _json(block: Block, *_: Any) -> None:
    _parsed(json.loads, block.text)


def _ndjson(block: Block, *_: Any) -> None:
    for line in block.text.splitlines():
        _parsed(json.loads, line)


def _parsed(parse: Callable[[str], Any], text: str) -> None:
    try:
        parse(text)
    except (ValueError, yaml.YAMLError) as error:
        raise AssertionError(f"cannot be read: {error}") from None


def _read_bash(block: Block) -> None:
    """What `bash -n` accepts and names only what is there."""
    done = subprocess.run(["bash", "-n", "-c", block.text], capture_output=True, text=True, check=False)
    problems = [done.stderr] if done.returncode else list(commands.problems(block.text))
    if problems:
        raise AssertionError("; ".join(problems))


def _read_python(block: Block) -> None:
    try:
        compile(block.text, "block", "exec")
    except SyntaxError as error:
        raise AssertionError(f"cannot be read: {error}") from None


def _read_yaml(block: Block) -> None:
    _parsed(yaml.safe_load, block.text)


def _read_nothing(_block: Block) -> None:
    """The language has no check besides running."""


#: How the blocks of a language run.
LANGUAGES: dict[str, Callable[[Block, Scratch, str | None], None]] = {
    "bash": _bash,
    "python": _python,
    "yaml": _yaml,
    "json": _json,
    "ndjson": _ndjson,
    "promql": _promql,
}
#: How blocks that do not run are read.
READ: dict[str, Callable[[Block], None]] = {
    "bash": _read_bash,
    "python": _read_python,
    "yaml": _read_yaml,
    "json": _json,
    "ndjson": _ndjson,
}
