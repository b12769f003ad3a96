"""What commands share: the end of a command by an error or by Ctrl-C."""

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from laserve.cli import main
from laserve.cli.options import refusing
from laserve.errors import ConfigError


@pytest.mark.parametrize(
    ("error", "line", "status"),
    [
        (ConfigError.at("--data", "rows.jsonl holds no records"), "--data: rows.jsonl holds no records", 1),
        (KeyboardInterrupt(), "interrupted", 130),
    ],
)
def test_a_command_ends_with_one_line_and_a_status(error: BaseException, line: str, status: int) -> None:
    @click.command()
    @refusing
    def command() -> None:
        raise error

    result = CliRunner().invoke(command)
    assert result.stderr == f"laserve: {line}\n"
    assert result.exit_code == status


COMMANDS = {
    "a table": "data inspect {rows}",
    "a line": "fit-context --profile fake --data {rows} --out {out}",
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=list(COMMANDS))
@pytest.mark.parametrize(
    ("output", "unbuffered", "status", "said"),
    [
        (">/dev/full", "", 1, "laserve: output cannot be written: No space left on device\n"),
        (">/dev/full", "1", 1, "laserve: output cannot be written: No space left on device\n"),
        (">&-", "", 0, ""),
    ],
)
def test_standard_output_that_cannot_be_written_is_told_in_a_line(
    tmp_path: Path, command: str, output: str, unbuffered: str, status: int, said: str
) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(f'{{"prompt": "question {number}"}}\n' for number in range(40)))
    arguments = command.format(rows=rows, out=tmp_path / "constants")
    # The shell's redirections are the subject.
    done = subprocess.run(
        f"{sys.executable} -m laserve {arguments} {output}",
        shell=True,
        check=False,
        env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (status, said)


def test_export_without_standard_output_needs_a_file() -> None:
    done = subprocess.run(
        f"{sys.executable} -m laserve export --profile fake >&-",
        shell=True,
        check=False,
        capture_output=True,
        text=True,
    )
    said = "laserve: --out: needed, since standard output is closed\n"
    assert (done.returncode, done.stderr) == (1, said)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("evaluate-rm --data {rows} --json {rows}", "--json: {rows} is the file of --data as well"),
        (
            "evaluate-rm --data {rows} --json {new} --prior-out {new}",
            "--json: {new} is the file of --prior-out as well",
        ),
        ("data inspect {rows} --json {rows}", "--json: {rows} is the file of FILES as well"),
        ("fit-context --data {rows} --out {rows}", "--out: {rows} is the file of --data as well"),
        ("bench selection --pool {new} --json {new}", "--json: {new} is the file of --pool as well"),
    ],
)
def test_a_file_to_write_is_that_of_one_option(tmp_path: Path, arguments: str, said: str) -> None:
    paths = {"rows": tmp_path / "rows.jsonl", "new": tmp_path / "new"}
    paths["rows"].write_text('{"prompt": "greet me"}')
    result = CliRunner().invoke(main, arguments.format(**paths).split())
    assert (result.exit_code, result.stderr) == (1, f"laserve: {said.format(**paths)}\n")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [
        ("rows.jsonl", '{"prompt": "greet me"}')
    ]
