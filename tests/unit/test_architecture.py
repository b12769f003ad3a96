"""The map in docs/architecture.md is that of the tree, and the paths in CONTRIBUTING.md are there."""

import re
import tomllib
from pathlib import Path

import pytest

import laserve

PACKAGE = Path(laserve.__file__).parent
ROOT = Path(__file__).parents[2]
MAP = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
#: The alias of a moved module, which has no floor of its own.
ALIASES = {"orphans"}


def test_every_package_has_one_sentence_in_the_map() -> None:
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    modules = {path.stem for path in PACKAGE.glob("*.py") if not path.name.startswith("__")}
    sentences = re.findall(r"^\| `(\w+)` \| [A-Z].*\. \|$", MAP, re.MULTILINE)
    assert sorted(sentences) == sorted(packages | modules)


@pytest.mark.parametrize("text", [MAP, CONTRIBUTING], ids=["architecture.md", "CONTRIBUTING.md"])
def test_every_path_of_the_page_is_there(text: str) -> None:
    paths = set(re.findall(r"`([\w./]+(?:\.py|/))`", text))
    roots = (ROOT, PACKAGE, *(path for path in PACKAGE.rglob("*") if path.is_dir()))
    assert {path for path in paths if not any((root / path).exists() for root in roots)} == set()


def test_the_chain_of_imports_is_the_one_that_is_checked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    chain = re.sub(r"\s+", " ", re.search(r"```text\n(cli .*?)```", MAP, re.DOTALL)[1]).strip()  # type: ignore[index]
    assert chain.split(" -> ") == [layer for layer in layers if layer not in {"__main__", *ALIASES}]


def test_no_folder_has_more_than_fourteen_modules_and_the_root_has_six() -> None:
    modules = [path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"]
    folders = {path.parent for path in modules}
    crowded = {str(folder): sum(path.parent == folder for path in modules) for folder in folders}
    assert {folder: count for folder, count in crowded.items() if count > 14} == {}
    assert len([path for path in PACKAGE.glob("*.py") if not path.name.startswith("__")]) <= 6
