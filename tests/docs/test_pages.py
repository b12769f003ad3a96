"""README.md and the pages in docs/ can be read: links and pictures are there, paragraphs are short."""

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from data_pairs import PAIR_EXAMPLES
from data_questions import QUESTION_EXAMPLES
from laserve.lab.data.needs import NEEDS
from laserve.lab.data.row import Row
from laserve.lab.data.shapes.base import LeftOut, Location, Shape
from laserve.lab.data.shapes.known import SHAPES
from laserve.lab.report.figures import figures
from laserve.lab.report.study import run
from pages.commands import commands, problem
from pages.markdown import DOCS, ROOT, Page, paths
from report_pools import make_plan, make_report_pool

README_BYTES = 7168
WORDS = 90
EACH_PAGE = pytest.mark.parametrize("path", paths(), ids=lambda path: str(path.relative_to(ROOT)))


def text(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


@cache
def anchors(path: Path) -> frozenset[str]:
    return frozenset(Page.read(path).anchors())


@EACH_PAGE
def test_every_link_within_the_repository_leads_to_a_file_and_a_heading(path: Path) -> None:
    page = Page.read(path)
    broken = []
    for link in page.links():
        name, _, anchor = link.target.partition("#")
        target = (path.parent / name).resolve() if name else path
        if link.target.startswith(("http:", "https:", "mailto:")):
            continue
        known = target.exists() and target.is_relative_to(ROOT)
        if not known or (anchor and (target.suffix != ".md" or anchor not in anchors(target))):
            broken.append(f"{page.where(link.line)}: {link.target}")
    assert not broken, "\n".join(broken)


@EACH_PAGE
def test_a_page_has_one_title_at_its_top(path: Path) -> None:
    page = Page.read(path)
    assert len(page.headings("h1")) == 1
    headings = [token.tag for token in page.tokens if token.type == "heading_open"]
    assert headings[0] == "h1"
    assert "h5" not in headings, "headings below #### have no anchors on the site"


@EACH_PAGE
def test_no_paragraph_of_a_page_is_long(path: Path) -> None:
    page = Page.read(path)
    long = [
        f"{page.where(line)}: {count} words"
        for paragraph, line in page.paragraphs()
        if (count := len(paragraph.split())) > WORDS
    ]
    assert not long, "\n".join(long)


@EACH_PAGE
def test_every_picture_of_a_page_is_there_and_says_what_it_shows(path: Path) -> None:
    page = Page.read(path)
    for picture in page.pictures():
        assert (path.parent / picture.target).is_file(), f"{page.where(picture.line)}: {picture.target}"
        assert picture.text.strip(), f"{page.where(picture.line)}: no alternative text"
    assert "<img" not in page.text


@EACH_PAGE
def test_every_command_that_a_page_names_exists_with_its_options(path: Path) -> None:
    page = Page.read(path)
    spans = [(child.content, line) for child, line in page.inline() if child.type == "code_inline"]
    problems = [
        f"{page.where(line)}: {wrong}"
        for span, line in spans
        if span.startswith("laserve ")
        for words in commands(span)
        if (wrong := problem(words))
    ]
    assert not problems, "\n".join(problems)


def test_the_readme_is_two_screens_with_a_quick_start() -> None:
    readme = Page.read(ROOT / "README.md")
    assert len(readme.text.encode()) <= README_BYTES
    calls = "\n".join(block.text for block in readme.blocks() if block.language == "bash")
    assert "/generate" in calls
    assert "PASTE-THE-DECISION-ID" in calls.partition("/feedback")[2]


def test_the_page_of_the_client_shows_it() -> None:
    blocks = Page.read(DOCS / "reference" / "client.md").blocks()
    assert any("laserve_client" in block.text for block in blocks if block.language == "python")


def test_the_index_lists_every_page_once() -> None:
    items = re.findall(r"^[-*] \[[^\]]+\]\(([\w/-]+\.md)\)", text("index.md"), re.MULTILINE)
    pages = [str(path.relative_to(DOCS)) for path in paths() if DOCS in path.parents]
    assert sorted([*items, "index.md"]) == sorted(pages)


def test_the_keys_that_the_benchmarks_name_are_in_the_figures_of_a_report() -> None:
    named = re.findall(r"`(tasks\.TASK\.[\w.:\[\]-]+)`", text("benchmarks.md"))
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
    page = text("reference/data.md")
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
