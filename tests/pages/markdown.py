"""A page of the documentation: its blocks, links, headings, pictures and paragraphs."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
_COMMENT = re.compile(r"<!--\s*(.*?)\s*-->", re.DOTALL)
#: Characters that a heading's anchor does not have.
_DROPPED = re.compile(r"[^\w\- ]")


def paths() -> list[Path]:
    """README.md and all pages below docs/."""
    pages = (path for path in DOCS.rglob("*.md") if "_build" not in path.parts)
    return [ROOT / "README.md", *sorted(pages)]


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block.

    Args:
        language: the first word behind the fence; empty where there is none.
        line: of its first line of text, from 1.
        comments: texts of the HTML comments directly before it.
    """

    language: str
    text: str
    line: int
    comments: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Link:
    """A link or picture; `line` is that of its paragraph."""

    target: str
    text: str
    line: int


@dataclass(frozen=True)
class Page:
    """A page, by its path in the repository or the name of a test's own."""

    name: str
    text: str
    folder: Path = field(default=ROOT)

    @classmethod
    def read(cls, path: Path) -> "Page":
        return cls(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8"), path.parent)

    @cached_property
    def tokens(self) -> list[Token]:
        return MarkdownIt("commonmark").enable("table").parse(self.text)

    def where(self, line: int) -> str:
        return f"{self.name}:{line}"

    def blocks(self) -> Iterator[Block]:
        """Fenced blocks in order."""
        comments: list[str] = []
        for token in self.tokens:
            if token.type == "html_block":
                comments += _COMMENT.findall(token.content)
                continue
            if token.type == "fence":
                language = (token.info.split() or [""])[0]
                line = (token.map or [0])[0] + 2
                yield Block(language=language, text=token.content, line=line, comments=tuple(comments))
            comments = []

    def inline(self) -> Iterator[tuple[Token, int]]:
        """Parts of a line of text, such as a code span, with the line of their paragraph."""
        for token in self.tokens:
            for child in token.children or ():
                yield child, (token.map or [0])[0] + 1

    def links(self) -> Iterator[Link]:
        return self._leading("link_open", "href")

    def pictures(self) -> Iterator[Link]:
        return self._leading("image", "src")

    def _leading(self, kind: str, attribute: str) -> Iterator[Link]:
        for token, line in self.inline():
            if token.type == kind:
                yield Link(target=str(token.attrs[attribute]), text=token.content, line=line)

    def headings(self, level: str = "") -> list[str]:
        """Texts of the headings, all or those of a level such as `h1`."""
        return [
            self.tokens[index + 1].content
            for index, token in enumerate(self.tokens)
            if token.type == "heading_open" and level in ("", token.tag)
        ]

    def anchors(self) -> set[str]:
        """Anchors of the headings, as GitHub makes them: a repeated one ends in -1, -2 and so on."""
        anchors: set[str] = set()
        for heading in self.headings():
            shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
            slug = _DROPPED.sub("", shown.lower()).replace(" ", "-")
            number = 0
            while (anchor := f"{slug}-{number}" if number else slug) in anchors:
                number += 1
            anchors.add(anchor)
        return anchors

    def paragraphs(self) -> Iterator[tuple[str, int]]:
        """Texts of paragraphs, those of lists included, with their lines; cells of tables are none."""
        for index, token in enumerate(self.tokens):
            if token.type == "paragraph_open":
                yield self.tokens[index + 1].content, (token.map or [0])[0] + 1
