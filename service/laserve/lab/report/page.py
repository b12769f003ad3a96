"""A report as one self-contained page of HTML, without network or script."""

import base64
from collections.abc import Mapping
from html import escape
from typing import Any

from laserve.lab.charts.chart import Chart, svg
from laserve.lab.output import Cell, Table
from laserve.lab.report.markdown import TITLE
from laserve.lab.report.sections import sections
from laserve.lab.report.tabular import Section

_STYLE = """
:root { color-scheme: light dark; --up: #00664a; --down: #a03c00; --rule: #8884; }
@media (prefers-color-scheme: dark) { :root { --up: #4fc79f; --down: #ff9a5c; } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1240px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.7rem; } h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--rule); }
p { max-width: 75ch; }
.table { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .45rem; text-align: right; border-bottom: 1px solid var(--rule); }
td { white-space: nowrap; }
th:first-child, td:first-child, .named :nth-child(2), .texts th, .texts td { text-align: left; }
.texts td { white-space: normal; vertical-align: top; }
.texts td:last-child { white-space: nowrap; }
.up { color: var(--up); font-weight: 600; } .down { color: var(--down); font-weight: 600; }
.charts { display: flex; flex-wrap: wrap; gap: 1.5rem; margin: 1rem 0; }
.charts img { max-width: 100%; background: #fff; border-radius: 4px; }
summary { cursor: pointer; font-weight: 600; margin: .6rem 0; }
"""


def page(figures: Mapping[str, Any]) -> str:
    """The whole report as HTML."""
    body = "".join(map(_section, sections(figures)))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(TITLE)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n<h1>{escape(TITLE)}</h1>\n{body}</body>\n</html>\n"
    )


def _section(section: Section) -> str:
    within = "".join(
        f"<details>\n<summary>{escape(one.title)}</summary>\n{_content(one)}</details>\n"
        for one in section.within
    )
    return f"<section>\n<h2>{escape(section.title)}</h2>\n{_content(section)}{within}</section>\n"


def _content(section: Section) -> str:
    says = "".join(f"<p>{escape(text)}</p>\n" for text in section.says)
    charts = f'<div class="charts">\n{"".join(map(_chart, section.charts))}</div>\n' if section.charts else ""
    return says + charts + "".join(map(_table, section.tables))


def _chart(chart: Chart) -> str:
    """An image of its own, so that the names inside it do not mix with those of other charts."""
    content = base64.b64encode(svg(chart).encode()).decode()
    return f'<img src="data:image/svg+xml;base64,{content}" alt="{escape(chart.title)}">\n'


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in table.columns)
    rows = "".join(f"<tr>{''.join(map(_cell, row))}</tr>\n" for row in table.cells)
    kind = ' class="texts"' if table.texts else ' class="named"' if table.names > 1 else ""
    shown = f"<table{kind}>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody></table>"
    return f'<div class="table">{shown}</div>\n'


def _cell(cell: Cell) -> str:
    tone = f' class="{cell.tone}"' if cell.tone else ""
    return f"<td{tone}>{escape(cell.text)}</td>"
