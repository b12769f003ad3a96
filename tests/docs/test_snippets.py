"""Every block of README.md and of the pages in docs/ runs, or says why it does not."""

from pathlib import Path

import pytest

from pages.markdown import ROOT, Page, paths
from pages.snippets import SnippetError, run_page


@pytest.mark.parametrize("path", paths(), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_blocks_of_a_page_run_in_their_order(path: Path, tmp_path: Path) -> None:
    problem = None
    try:
        run_page(Page.read(path), tmp_path)
    except SnippetError as error:
        problem = str(error)
    if problem:
        pytest.fail(problem, pytrace=False)
