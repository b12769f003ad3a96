"""Errors name the setting or field, and nothing reads their texts."""

import ast
from collections.abc import Iterator
from pathlib import Path

import laserve
from laserve.errors import ConfigError

#: Of texts, what takes them apart.
APART = {
    "partition",
    "rpartition",
    "split",
    "rsplit",
    "removeprefix",
    "removesuffix",
    "startswith",
    "endswith",
}
APART |= {"match", "fullmatch", "search", "findall", "find", "index", "replace"}


def test_the_error_of_a_setting_says_its_name_and_then_what_is_wrong() -> None:
    error = ConfigError.at("options.url", "is none")
    assert (error.param, error.message, str(error)) == (
        "options.url",
        "options.url: is none",
        "options.url: is none",
    )


def taken_apart(tree: ast.AST) -> Iterator[int]:
    """Lines in which a method takes apart the text of an error, or a function is given it to do so."""
    for node in ast.walk(tree):
        if not (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in APART
        ):
            continue
        for text in (node.func.value, *node.args):
            shown = ast.unparse(text)
            if shown.endswith(".message") or shown in ("str(error)", "repr(error)") or "['msg']" in shown:
                yield node.lineno


def test_no_module_takes_the_text_of_an_error_apart() -> None:
    package = Path(laserve.__file__).parent
    found = [
        f"{file.relative_to(package)}:{line}"
        for file in package.rglob("*.py")
        for line in taken_apart(ast.parse(file.read_text(encoding="utf-8")))
    ]
    assert found == []
