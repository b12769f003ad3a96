"""`make docs` builds a site that is read without a network."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from pages.markdown import DOCS, ROOT
from system import find

BUILD = (sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html")
KINDS = ("tutorial", "how-to", "reference", "explanation")


def build(source: Path, site: Path) -> str:
    """What the build of a site prints, which is what is wrong with its pages."""
    done = subprocess.run([*BUILD, source, site], capture_output=True, text=True, check=False)
    assert bool(done.returncode) == bool(done.stderr.strip()), done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    if problems := build(DOCS, folder):
        pytest.fail(problems, pytrace=False)
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=find("chromium"), args=["--no-sandbox"])
        yield chromium
        chromium.close()


class Visit:
    """A browser's page, and what it asked for and complained about."""

    def __init__(self, browser: Browser) -> None:
        self.page: Page = browser.new_page()
        self.requested: list[str] = []
        self.problems: list[str] = []
        self.page.on("request", lambda request: self.requested.append(request.url))
        self.page.on("requestfailed", lambda request: self.problems.append(f"failed: {request.url}"))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", self._say)

    def _say(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(message.text)

    def outside(self, folder: Path) -> list[str]:
        """Requests that leave the folder."""
        inside = (folder.as_uri(), "data:")
        return [url for url in self.requested if not url.startswith(inside)]


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    visit = Visit(browser)
    yield visit
    visit.page.close()


def pages(site: Path) -> list[Path]:
    """The index, a page of each kind, and all that show a picture."""
    chosen = [site / "index.html", *(min((site / kind).glob("*.html")) for kind in KINDS)]
    return chosen + [
        page for page in site.rglob("*.html") if "<img" in page.read_text() and page not in chosen
    ]


def test_pages_of_the_site_ask_for_nothing_outside_and_show_all_they_have(site: Path, visit: Visit) -> None:
    opened = pages(site)
    assert len(opened) >= 5
    for path in opened:
        visit.page.goto(path.as_uri())
        assert visit.page.locator("h1").count() == 1, path
        assert visit.page.title(), path
        broken = "images => images.filter(i => !i.complete || !i.naturalWidth).map(i => i.src)"
        assert visit.page.eval_on_selector_all("img", broken) == [], path
        assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (
            f"{path} is too wide"
        )
        assert visit.problems == [], path
    assert visit.outside(site) == []


def test_the_navigation_names_every_page_under_its_kind(site: Path, visit: Visit) -> None:
    visit.page.goto((site / "index.html").as_uri())
    links = "links => links.map(link => link.href)"
    named = {unquote(url) for url in visit.page.eval_on_selector_all(".sidebar-tree a.reference", links)}
    made = {
        path.relative_to(DOCS).with_suffix(".html")
        for path in DOCS.rglob("*.md")
        if "_build" not in path.parts
    }
    assert {(site / path).as_uri() for path in made} - named <= {(site / "index.html").as_uri()}
    captions = visit.page.locator(".sidebar-tree .caption-text").all_inner_texts()
    assert [caption.lower() for caption in captions][:4] == list(KINDS)


def test_the_search_works_without_a_server(site: Path, visit: Visit) -> None:
    visit.page.goto((site / "search.html").as_uri() + "?q=policy")
    visit.page.wait_for_selector("#search-results ul.search li a")
    assert visit.page.locator("#search-results ul.search li a").count() > 1
    assert visit.problems == []
    assert visit.outside(site) == []


def test_make_docs_builds_into_the_ignored_folder_and_names_the_first_page() -> None:
    done = subprocess.run(
        ["make", "--dry-run", "--old-file=.venv/.installed", "docs"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"{' '.join(BUILD[3:])} docs docs/_build/html" in done.stdout
    assert f"{ROOT / 'docs/_build/html/index.html'}" in done.stdout
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert "/docs/_build/" in ignored


# how the site is made from pages that a forge shows as well


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A folder of pages like docs/, in a repository with a file and a folder."""
    docs = tmp_path / "docs"
    shutil.copytree(DOCS / "_static", docs / "_static")
    for name in ("pyproject.toml", "docs/conf.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "gpu.yaml").write_text("")
    (docs / "how-to").mkdir()
    (docs / "index.md").write_text("# Title\n\n## How-to\n\n- [A](how-to/a.md): first\n- [B](how-to/b.md)\n")
    (docs / "how-to" / "a.md").write_text(
        "# A\n\n[file](../../deploy/gpu.yaml) [folder](../../deploy/) [lines](../../deploy/gpu.yaml#L1) "
        "[page](b.md#a-b-c)\n"
    )
    (docs / "how-to" / "b.md").write_text("# B\n\n## A, `b`: c\n\n```ndjson\n{}\n```\n\n```mermaid\na\n```\n")
    return docs


def test_links_to_files_outside_of_the_pages_lead_to_the_repository(small: Path, tmp_path: Path) -> None:
    assert build(small, tmp_path / "site") == ""
    html = (tmp_path / "site" / "how-to" / "a.html").read_text()
    links = re.findall(
        r'<a class="reference [^"]*" href="([^"]*)">(?:<span[^>]*>)?(file|folder|lines|page)', html
    )
    source = "https://github.com/laserve/laserve"
    assert links == [
        (f"{source}/blob/main/deploy/gpu.yaml", "file"),
        (f"{source}/tree/main/deploy", "folder"),
        (f"{source}/blob/main/deploy/gpu.yaml#L1", "lines"),
        ("b.html#a-b-c", "page"),
    ]


@pytest.mark.parametrize(
    ("name", "line", "problem"),
    [
        ("how-to/c.md", "# C", "document isn't included in any toctree"),
        ("how-to/a.md", "[x](../../deploy/none.yaml)", "none.yaml"),
        ("how-to/a.md", "[x](b.md#none)", "none"),
        ("how-to/a.md", "![x](none.svg)", "image file not readable"),
        ("index.md", "- [C](how-to/c.md)", "how-to/c"),
        ("how-to/a.md", "```json\n{'a': 1}\n```", "Lexing literal_block"),
    ],
)
def test_a_wrong_page_stops_the_build(
    name: str, line: str, problem: str, small: Path, tmp_path: Path
) -> None:
    with (small / name).open("a") as file:
        file.write(f"\n{line}\n")
    assert problem in build(small, tmp_path / "site")
