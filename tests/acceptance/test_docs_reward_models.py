"""The page of reward models has every kind and every option, with its default."""

import inspect
import re

import pytest

from laserve.scoring.registry import KINDS, builder
from pages.markdown import DOCS

TEXT = (DOCS / "reference" / "reward-models.md").read_text(encoding="utf-8")
#: Rows `| kind | option | default | what |`.
OPTIONS = re.findall(r"^\| `([\w-]+)` \| `(\w+)` \| (.+?) \| .+ \|$", TEXT, re.MULTILINE)
#: Arguments that the service gives, not an arm's options.
SHARED = {"encoder", "engines", "cache_dir"}


def defaults(kind: str) -> dict[str, object]:
    parameters = inspect.signature(builder(kind, {})).parameters
    return {name: parameter.default for name, parameter in parameters.items() if name not in SHARED}


def shown(value: object) -> str:
    if value is inspect.Parameter.empty:
        return "required"
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    text = str(value)
    return (text if len(text) < 40 else "built in") or "empty"


def test_every_kind_has_a_row() -> None:
    assert [kind for kind in KINDS if not re.search(rf"^\| `{kind}` \| [^`|]", TEXT, re.MULTILINE)] == []


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "python"])
def test_the_options_of_a_kind_are_those_of_its_constructor_with_their_defaults(kind: str) -> None:
    rows = {option: default for name, option, default in OPTIONS if name == kind}
    assert rows == {option: shown(default) for option, default in defaults(kind).items()}
