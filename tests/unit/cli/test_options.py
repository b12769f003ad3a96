"""What commands share: the end of a command by an error or by Ctrl-C."""

import click
import pytest
from click.testing import CliRunner

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
