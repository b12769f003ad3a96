"""A report as Markdown."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from laserve.lab.output import Table
from laserve.lab.report.sections import sections
from laserve.lab.report.tabular import Section

TITLE = "Gain from choosing reward models"


def markdown(figures: Mapping[str, Any]) -> str:
    """The whole report as Markdown, without charts."""
    return f"# {TITLE}\n\n" + "\n".join(_section(one, 2) for one in sections(figures))


def _section(section: Section, level: int) -> str:
    texts = [f"{'#' * level} {_escaped(section.title)}", *map(_escaped, section.says)]
    parts = [*texts, *map(_table, section.tables)]
    return "\n\n".join(parts) + "\n" + "".join("\n" + _section(one, level + 1) for one in section.within)


def _table(table: Table) -> str:
    rule = ["---" if table.texts or index < table.names else "---:" for index in range(len(table.columns))]
    rows = [table.columns, rule, *([cell.text for cell in row] for row in table.cells)]
    return "\n".join(map(_row, rows))


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(map(_escaped, cells)) + " |"


def _escaped(text: str) -> str:
    """A text in one line without markup."""
    return re.sub(r"([\\`*\[<|&])", r"\\\1", " ".join(text.split()))
