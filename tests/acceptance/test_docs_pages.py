"""The pages in docs/ name commands that exist, keys that figures have, and links that lead somewhere."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest

from data_pairs import PAIR_EXAMPLES
from data_questions import QUESTION_EXAMPLES
from laserve.cli import main
from laserve.lab.data.needs import NEEDS
from laserve.lab.data.row import Row
from laserve.lab.data.shapes.base import LeftOut, Location, Shape
from laserve.lab.data.shapes.known import SHAPES
from laserve.lab.report.figures import figures
from laserve.lab.report.study import run
from report_pools import make_plan, make_report_pool

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))
TEXTS = {page: page.read_text(encoding="utf-8") for page in [*PAGES, ROOT / "README.md"]}
#: Characters that a heading's anchor does not have.
DROPPED = re.compile(r"[^\w\- ]")


def anchors(text: str) -> set[str]:
    heads = re.findall(r"^#+ (.*)$", text, re.M)
    return {DROPPED.sub("", head.lower()).replace(" ", "-") for head in heads}


def test_there_are_pages() -> None:
    assert [page.name for page in PAGES] == ["benchmarks.md", "data.md"]


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.name)
def test_every_internal_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", TEXTS[page])
    for link in (link for link in links if not link.startswith(("http:", "https:"))):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_on_a_page_and_its_options_exist(page: Path) -> None:
    blocks = [block.replace("\\\n", " ") for block in re.findall(r"```bash\n(.*?)```", TEXTS[page], re.S)]
    lines = [line.split() for block in blocks for line in block.splitlines() if line.startswith("laserve ")]
    assert lines
    for _, *words in lines:
        command: Any = main
        while isinstance(command, click.Group):
            command = command.commands[words.pop(0)]
        known = {name for parameter in command.params for name in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known


def test_the_keys_that_the_benchmarks_name_are_in_the_figures_of_a_report() -> None:
    named = re.findall(r"`(tasks\.TASK\.[\w.:\[\]-]+)`", TEXTS[ROOT / "docs" / "benchmarks.md"])
    assert len(named) >= 3
    block = figures(run(make_report_pool(40), make_plan(orders=1)))["tasks"]["single-doc-qa"]
    for key in named:
        value: Any = block
        for part in key.split(".")[2:]:
            value = value[part]
        assert value is not None


# shapes of rows

#: Letter of each command in the table of shapes, in the order of `NEEDS`.
LETTERS = dict(zip("tepcsfd", NEEDS, strict=True))


def rows_of(shape: Shape) -> Iterator[Row]:
    """Rows of the shape's example records; where records are joined, with a better and a worse answer."""
    for example, record in (PAIR_EXAMPLES | QUESTION_EXAMPLES).values():
        if example is shape and not isinstance(
            made := shape.rows(record, Location(file="a", position="line 1")), LeftOut
        ):
            for row in made:
                both = (*row.answers, *(replace(one, quality=1 - one.quality) for one in row.answers))
                yield replace(row, answers=both) if shape.joined else row


def test_the_table_of_shapes_names_the_columns_and_the_commands_of_each() -> None:
    page = TEXTS[ROOT / "docs" / "data.md"]
    rows = {
        shape.name: "".join(
            letter
            for letter, command in LETTERS.items()
            if any(NEEDS[command](row) is None for row in rows_of(shape))
        )
        for shape in SHAPES
    }
    table = [f"| {shape.name} | {shape.expected} | {rows[shape.name]} |" for shape in SHAPES]
    assert "\n".join(["| shape | columns | commands |", "| --- | --- | --- |", *table, ""]) in page
    for letter, command in LETTERS.items():
        assert f"| {letter} | `{command}` |" in page
