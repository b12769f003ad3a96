"""The documentation as a site: `make docs`. The pages are plain Markdown, which a forge shows as well."""

import os
import re
import tomllib
from pathlib import Path

from pygments.lexers.data import JsonLexer
from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

DOCS = Path(__file__).parent
ROOT = DOCS.parent
_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
#: The repository on its forge.
SOURCE = _PROJECT["urls"]["Source"]

project = "laserve"
copyright = "the laserve authors"  # noqa: A001 - Sphinx's own name
extensions = ["myst_parser"]
exclude_patterns = ["_build"]
language = "en"

myst_heading_anchors = 4  # as GitHub makes them
myst_enable_extensions = ["alert"]

html_theme = "furo"
html_title = "laserve"
html_static_path = ["_static"]
html_css_files = ["laserve.css"]
html_show_sphinx = False
html_copy_source = False
html_show_search_summary = False  # a browser reads no files to make one
html_theme_options = {"source_repository": SOURCE, "source_branch": "main", "source_directory": "docs/"}

#: An item of index.md's lists that leads to a page: `- [Title](how-to/gpu.md)`.
_ITEM = re.compile(r"[-*] \[[^\]]+\]\((?P<page>[\w/-]+)\.md\)")
_CAPTION = re.compile(r"## (?P<caption>.+)")
_LINK = re.compile(r"\]\((?P<path>\.\./[^)\s#]+)(?P<anchor>#[^)\s]*)?\)")


def toctrees(index: str) -> str:
    """The navigation that the lists of index.md stand for: a hidden tree for each `##` heading."""
    trees: dict[str, list[str]] = {}
    caption = ""
    for line in index.splitlines():
        if heading := _CAPTION.fullmatch(line):
            caption = heading["caption"]
        elif (item := _ITEM.match(line)) and (DOCS / f"{item['page']}.md").is_file():  # else the link warns
            trees.setdefault(caption, []).append(item["page"])
    return "".join(_toctree(caption, pages) for caption, pages in trees.items())


def _toctree(caption: str, pages: list[str]) -> str:
    options = [":hidden:", *([f":caption: {caption}"] if caption else [])]
    return "\n".join(["", "```{toctree}", *options, "", *pages, "```", ""])


def outside(text: str, page: Path) -> str:
    """The text of a page, where links to files and folders outside of docs/ lead to the repository."""

    def replaced(link: re.Match[str]) -> str:
        target = Path(os.path.normpath(page.parent / link["path"]))
        if target.is_relative_to(DOCS) or not (target.is_relative_to(ROOT) and target.exists()):
            return link[0]
        kind = "tree" if target.is_dir() else "blob"
        return f"]({SOURCE}/{kind}/main/{target.relative_to(ROOT)}{link['anchor'] or ''})"

    return _LINK.sub(replaced, text)


def _read(_app: Sphinx, docname: str, source: list[str]) -> None:
    source[0] = outside(source[0], DOCS / f"{docname}.md")
    if docname == "index":
        source[0] += toctrees(source[0])


def setup(app: Sphinx) -> None:
    """Sphinx's entry point."""
    app.connect("source-read", _read)
    app.add_lexer("ndjson", JsonLexer)
    app.add_lexer("mermaid", TextLexer)
