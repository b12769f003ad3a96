"""Commands of laserve and files that a block of shell names."""

import re
import shlex
from collections.abc import Iterator
from typing import Any

import click

from laserve.cli import main
from pages.markdown import ROOT

_HEREDOC = re.compile(r"<<-?\s*(['\"]?)(\w+)\1(.*?)\n.*?^\s*\2\s*$", re.DOTALL | re.MULTILINE)
_COMMENT = re.compile(r"(?m)(^|\s)#.*$")
_ASSIGNMENT = re.compile(r"\w+=.*", re.DOTALL)
_ENDS = re.compile(r"[();|&\n]+")
_BEFORE = ("sudo", "exec", "nice", "nohup", "time", "env")
_DEPLOYED = re.compile(r"(?<![\w/.-])deploy/[\w./-]*\w")
_TARGET = re.compile(r"^make ([a-z]+)", re.MULTILINE)


def commands(text: str) -> Iterator[list[str]]:
    """The words behind `laserve`, for each of its commands in a block of shell.

    Raises:
        ValueError: a quotation does not end.
    """
    text = _COMMENT.sub(r"\1", _HEREDOC.sub(r"\3", text.replace("\\\n", " ")))
    lexer = shlex.shlex(text, posix=True, punctuation_chars="();<>|&\n")
    lexer.whitespace, lexer.commenters = " \t\r", ""
    lexer.whitespace_split = True
    words: list[str] | None = None
    begins = True
    for word in lexer:
        if _ENDS.fullmatch(word):
            if words is not None:
                yield words
            words, begins = None, True
        elif words is not None and word.rpartition("/")[2] != "laserve":
            words.append(word)
        elif begins and word.rpartition("/")[2] == "laserve":
            words = []
        else:
            begins = begins and (word in _BEFORE or _ASSIGNMENT.fullmatch(word) is not None)
    if words is not None:
        yield words


def problem(words: list[str]) -> str | None:
    """What is wrong with the words behind `laserve`: no such command, or no such option."""
    command: Any = main
    path = "laserve"
    words = words[: next((n for n, word in enumerate(words) if word[:1] in "<>"), None)]
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, *words = words
        if name not in command.commands:
            return f"{path} has no command {name!r}"
        command, path = command.commands[name], f"{path} {name}"
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    known |= {"-h", "--help"} | ({"--version"} if command is main else set())
    given = [word.partition("=")[0] for word in words if re.fullmatch(r"--?[A-Za-z][\w-]*(=.*)?", word)]
    unknown = [option for option in given if option not in known]
    return f"{path} has no option {unknown[0]}" if unknown else None


def problems(text: str) -> Iterator[str]:
    """What a block of shell names and is not there: commands, options, files of deploy/, targets of make."""
    try:
        yield from filter(None, map(problem, commands(text)))
    except ValueError as error:
        yield f"is no shell that can be read: {error}"
    for name in _DEPLOYED.findall(text):
        if not (ROOT / name).exists():
            yield f"there is no {name}"
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in _TARGET.findall(text):
        if not re.search(rf"^{target}:", makefile, re.MULTILINE):
            yield f"the Makefile has no {target}"
