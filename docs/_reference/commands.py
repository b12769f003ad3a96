"""The page of the commands, from their help texts."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from _reference.tables import NONE, code, number, table
from laserve.cli import main

INTRO = """# Commands

Every command says its usage with `--help`. A command that is refused writes the reason to standard error
and ends with status 1. Wrong usage is status 2, and Ctrl-C is status 130. Commands that take long tell on
standard error how far they are: a bar on a terminal, and elsewhere a line every half minute or tenth.

Most commands read the [settings](settings.md): `--config FILE`, `--profile fake` and the environment
variables are the same for all of them.

"""


def page() -> str:
    commands = list(_commands(main, "laserve"))
    overview = table(
        ["command", "what"],
        ([f"[`{path}`](#{path.replace(' ', '-')})", _short(command)] for path, command in commands),
    )
    return INTRO + overview + "".join(f"\n{_section(path, command)}" for path, command in commands)


def _commands(group: click.Group, prefix: str) -> Iterator[tuple[str, click.Command]]:
    for name in sorted(group.commands):
        command, path = group.commands[name], f"{prefix} {name}"
        if isinstance(command, click.Group):
            yield from _commands(command, path)
        else:
            yield path, command


def _short(command: click.Command) -> str:
    return " ".join(_help(command).partition("\n\n")[0].split())


def _help(command: click.Command) -> str:
    return inspect.cleandoc(command.help or "")


def _section(path: str, command: click.Command) -> str:
    usage = " ".join(command.collect_usage_pieces(click.Context(command, info_name=path)))
    options = [_option(parameter) for parameter in command.params if isinstance(parameter, click.Option)]
    paragraphs = "\n\n".join(" ".join(part.split()) for part in _help(command).split("\n\n"))
    text = f"## {path}\n\n{paragraphs}\n\n```text\n{path} {usage}\n```\n\n"
    return text + table(["option", "value", "default", "what"], options)


def _option(option: click.Option) -> list[str]:
    names = [*option.opts, *option.secondary_opts]
    what = option.help or ""
    if option.multiple and "repeat" not in what.lower():
        what += " Repeatable."
    return [", ".join(map(code, names)), _value(option), _default(option), what]


def _value(option: click.Option) -> str:
    kind: Any = option.type
    if option.is_flag:
        return NONE
    if isinstance(kind, click.types._NumberRangeBase):
        return ", ".join(
            filter(None, ["integer" if isinstance(kind, click.IntRange) else "number", _range(kind)])
        )
    if isinstance(kind, click.Choice):
        return ", ".join(map(code, kind.choices))
    if isinstance(kind, click.Path):
        return "folder" if not kind.file_okay else "file"
    if isinstance(option.metavar, str):
        return code(option.metavar)
    return {"integer": "integer", "float": "number"}.get(kind.name, "text")


def _range(kind: Any) -> str:
    if None not in (kind.min, kind.max) and not (kind.min_open or kind.max_open):
        return f"{number(kind.min)} to {number(kind.max)}"
    low = "" if kind.min is None else f"{'above' if kind.min_open else 'at least'} {number(kind.min)}"
    high = "" if kind.max is None else f"{'below' if kind.max_open else 'at most'} {number(kind.max)}"
    return ", ".join(filter(None, [low, high]))


def _default(option: click.Option) -> str:
    if isinstance(option.show_default, str):
        return code(option.show_default)
    if option.required:
        return "required"
    default = option.to_info_dict()["default"]
    if option.is_flag or default in (None, ()):
        return NONE
    if isinstance(default, tuple | list):
        return ", ".join(map(code, default))
    return code(str(default).replace(str(Path.home()), "~"))
