"""Tables on standard output: complete on a terminal of any width, and in a pipe."""

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from rich.box import SIMPLE_HEAD, Box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

#: Columns of a line where standard output is no terminal.
WIDTH = 80
#: Spaces between columns.
_GAP = 2
#: Widths to which heads are wrapped, one after the other, until a table fits.
_HEADS = (16, 12, 8, 0)
#: A rule of ASCII under the head.
_ASCII = Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)
#: Mark of a difference whose interval is above 0 (up) or below 0 (down).
Tone = Literal["", "up", "down"]
_STYLES = {"": "", "up": "green", "down": "red"}


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell of a table."""

    text: str
    tone: Tone = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table, whatever it is shown on.

    Args:
        columns: titles of the columns.
        rows: as many cells in each row as there are columns.
        title: heading; empty for none.
        names: number of first columns that name a row; they are aligned left, and repeated where a table
            is folded. Other columns hold numbers, aligned right.
        texts: whether all columns are texts, aligned left, that may be wrapped.
        notes: lines below the table.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]
    title: str = ""
    names: int = 1
    texts: bool = False
    notes: Sequence[str] = ()

    @property
    def cells(self) -> list[list[Cell]]:
        """All cells, by row."""
        return [[cell if isinstance(cell, Cell) else Cell(text=cell) for cell in row] for row in self.rows]


def counted(number: int, what: str) -> str:
    """A number with its noun, which gets an s unless the number is 1."""
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def discard() -> None:
    """Discard all further standard output, whose reader has closed the pipe."""
    # Without this, the text that is still buffered would fail again when Python ends.
    with Path(os.devnull).open("wb") as nothing:
        os.dup2(nothing.fileno(), sys.stdout.fileno())


def show(*parts: Table | str) -> None:
    """Print tables and lines of text on standard output, with an empty line between parts.

    A table that is wider than the terminal, or than 80 columns where there is none, is folded into groups of
    columns; nothing is cut. When the reader of a pipe has closed it, the rest is left out in silence.
    """
    console = Console(highlight=False)
    if not (terminal := console.is_terminal):
        console = Console(highlight=False, width=WIDTH, color_system=None)
    with console.capture() as captured:
        for number, part in enumerate(parts):
            if number:
                console.print()
            if isinstance(part, str):
                console.print(_text(part, console), soft_wrap=not terminal)
            else:
                _show(part, console)
    printed = captured.get()
    _write(printed if terminal else "\n".join(line.rstrip() for line in printed.split("\n")))


def _show(table: Table, console: Console) -> None:
    if table.title:
        # A pipe gets a title in one line, since a path in it must stay whole.
        console.print(_text(table.title, console, style="bold"), soft_wrap=not console.is_terminal)
    heads = [_text(column, console) for column in table.columns]
    rows = [[_text(cell.text, console, style=_STYLES[cell.tone]) for cell in row] for row in table.cells]
    columns = [_Column.of(head, cells) for head, *cells in zip(heads, *rows, strict=True)]
    if table.texts:
        console.print(_grid(columns, console, names=len(columns), texts=True))
    else:
        for number, group in enumerate(_folded(columns, table.names, console.width)):
            if number:
                console.print()
            console.print(_grid(group, console, names=table.names))
    for note in table.notes:
        console.print(_text(note, console))


@dataclass(frozen=True, kw_only=True)
class _Column:
    """A column as it is printed, with its width in characters."""

    head: Text
    cells: Sequence[Text]
    width: int

    @classmethod
    def of(cls, head: Text, cells: Sequence[Text]) -> "_Column":
        """A column in which no text is wrapped."""
        return cls(head=head, cells=cells, width=max(text.cell_len for text in (head, *cells)))

    def narrow(self, most: int, head: int = 0) -> "_Column":
        """The column with its head wrapped between words, and its cells where they exceed `most`.

        Args:
            head: width to which the head is wrapped, if words and cells are not wider.
        """
        words = [cell_len(word) for word in self.head.plain.split()]
        needed = max([min(head, self.width), *words, *(cell.cell_len for cell in self.cells)])
        return replace(self, width=min(most, needed))


def _folded(columns: Sequence[_Column], names: int, width: int) -> Iterator[Sequence[_Column]]:
    """Groups of columns that fit into a width, each with the columns of names in front."""
    for head in (width, *_HEADS):
        whole = [column.narrow(width, head) for column in columns]
        if _width(whole) <= width:
            yield whole
            return
    first = [column.narrow(width // 2 // names - _GAP) for column in columns[:names]]
    room = width - _width(first) - _GAP
    group = list(first)
    for column in columns[names:]:
        one = column.narrow(room)
        if len(group) > names and _width([*group, one]) > width:
            yield group
            group = list(first)
        group.append(one)
    yield group


def _width(columns: Sequence[_Column]) -> int:
    return sum(column.width + _GAP for column in columns) - _GAP


def _grid(columns: Sequence[_Column], console: Console, *, names: int, texts: bool = False) -> Grid:
    """The columns for rich; the first ones, which hold names, are aligned left, the others right.

    Args:
        texts: whether rich chooses the widths.
    """
    drawn = console.is_terminal and console.encoding.startswith("utf")
    grid = Grid(
        box=SIMPLE_HEAD if drawn else _ASCII,
        show_edge=False,
        show_header=any(column.head.plain for column in columns),
        header_style="bold",
        padding=(0, _GAP - 1, 0, 0),
        pad_edge=False,
    )
    for index, column in enumerate(columns):
        grid.add_column(
            column.head,
            justify="left" if index < names else "right",
            vertical="top" if texts else "bottom",
            width=None if texts else column.width,
            overflow="fold",
        )
    for row in zip(*(column.cells for column in columns), strict=True):
        grid.add_row(*row)
    return grid


def _text(content: str, console: Console, style: str = "") -> Text:
    """A text without what would move the cursor, in characters that standard output has."""
    visible = "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in content
    )
    return Text(visible.encode(console.encoding, "backslashreplace").decode(console.encoding), style=style)


def _write(printed: str) -> None:
    if sys.stdout is None:  # the caller has closed it
        return
    try:
        sys.stdout.write(printed)
        sys.stdout.flush()
    except BrokenPipeError:
        discard()
