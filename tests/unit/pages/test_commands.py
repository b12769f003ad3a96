"""Commands of laserve in a block of shell are found, wherever they stand."""

import pytest

from pages.commands import commands, problem, problems


@pytest.mark.parametrize(
    ("text", "words"),
    {
        "a line": ("laserve demo -n 4", [["demo", "-n", "4"]]),
        "a continued line": ("laserve demo \\\n  -n 4", [["demo", "-n", "4"]]),
        "behind another": ("cd x && laserve models; laserve serve &", [["models"], ["serve"]]),
        "with variables": ("A=1 B='x y' laserve serve", [["serve"]]),
        "behind sudo": ("sudo nice laserve serve", [["serve"]]),
        "by a path": (".venv/bin/laserve demo", [["demo"]]),
        "in a substitution": ("x=$(laserve export)", [["export"]]),
        "in a pipe": ("laserve export | head", [["export"]]),
        "a comment": ("# laserve serves\nlaserve serve # it's ready", [["serve"]]),
        "a here document": ("cat >a <<'END'\nlaserve runs, it's true\nEND\nlaserve serve", [["serve"]]),
        "its folder": ("git clone x laserve\ncd laserve", []),
        "a package": ("pip install laserve", []),
        "quoted": ("echo 'laserve\nserve'", []),
    }.values(),
)
def test_the_commands_of_a_block_are_found(text: str, words: list[list[str]]) -> None:
    assert list(commands(text)) == words


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (["serve", "--config", "a.yaml", "--port=1"], None),
        (["state", "verify", "--to", "3"], None),
        (["demo", "-n", "4", "--json", "out"], None),
        (["train-rm", "--no-references"], None),
        (["--version"], None),
        (["serve", "--help"], None),
        (["bench"], None),
        (["ope", "--since", "-1", ">", "--out"], None),
        (["stat"], "laserve has no command 'stat'"),
        (["state", "check"], "laserve state has no command 'check'"),
        (["serve", "--prot=1"], "laserve serve has no option --prot"),
        (["serve", "-x"], "laserve serve has no option -x"),
    ],
)
def test_a_command_or_option_that_is_not_there_is_named(words: list[str], wrong: str | None) -> None:
    assert problem(words) == wrong


def test_files_of_deploy_and_targets_of_make_must_be_there() -> None:
    text = "cat deploy/gpu.yaml deploy/none.yaml x/deploy/none.yaml\nmake serve\nmake srve"
    assert list(problems(text)) == ["there is no deploy/none.yaml", "the Makefile has no srve"]
