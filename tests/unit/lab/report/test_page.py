"""The report as Markdown and as one page of HTML."""

import base64
import json
import re
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest

from laserve.lab.data.row import CLASSIFICATION, CORRECTNESS, MEASURES, PREFERENCE, REWARD
from laserve.lab.report import pictures
from laserve.lab.report.figures import figures as all_figures
from laserve.lab.report.markdown import markdown
from laserve.lab.report.page import page
from laserve.lab.report.sections import sections
from laserve.lab.report.study import run
from laserve.lab.report.tabular import TITLES
from report_pools import make_plan, make_report_pool


class Outline(HTMLParser):
    """Checks that elements are closed in order, and keeps what a page would fetch, and its images."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.heads: list[str] = []
        self.images: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [
            f"{name}={value}"
            for name, value in attrs
            if name in ("src", "href", "srcset", "data")
            and not (value or "").startswith("data:image/svg+xml;")
        ]
        if tag == "img":
            self.images.append(dict(attrs))
        if tag in ("script", "link", "iframe"):
            self.fetched.append(tag)
        if tag not in ("meta", "br", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "h2":
            self.heads.append(data)


@pytest.fixture(scope="module")
def html(figures: dict[str, Any]) -> str:
    return page(figures)


def test_the_page_is_whole_and_fetches_nothing(html: str) -> None:
    outline = Outline()
    outline.feed(html)
    assert outline.open == []
    assert outline.fetched == []
    assert "url(" not in html


def test_the_page_has_its_sections_in_order(html: str, figures: dict[str, Any]) -> None:
    outline = Outline()
    outline.feed(html)
    assert outline.heads == [
        "Findings",
        "How to read it",
        "Answers measured in F1",
        "Answers measured in preferred answers",
        "Answers measured in right answers",
        "All questions",
        "Learning",
        "Quality against the number of candidates",
        "Limits of the gain from choosing arms",
        "By task",
        "Data and settings",
    ]


def test_every_chart_is_an_image_with_a_text_for_those_who_do_not_see_it(html: str) -> None:
    outline = Outline()
    outline.feed(html)
    assert len(outline.images) >= 14
    for image in outline.images:
        kind, _, content = (image["src"] or "").partition(",")
        assert kind == "data:image/svg+xml;base64"
        drawn = ElementTree.fromstring(base64.b64decode(content))
        assert drawn.tag.endswith("}svg")
        assert image["alt"]
        assert image["alt"].replace(" ", "") in "".join(drawn.itertext()).replace(" ", "").replace("\n", "")


def test_the_numbers_of_the_charts_stand_in_tables(html: str, figures: dict[str, Any]) -> None:
    for name, values in figures["learning"]["policies"].items():
        row = html.partition(f"<td>{name}</td><td>{100 * values[0]:+.1f}</td>")[2].partition("</tr>")[0]
        assert row.endswith(f"<td>{100 * values[-1]:+.1f}</td>"), name
    for task, curves in figures["best_of_k"].items():
        for arm, values in {**curves["arms"], "possible": curves["possible"]}.items():
            assert f"<td>{task}</td><td>{arm}</td><td>{100 * values[0]:.1f}</td>" in html


def test_every_policy_stands_in_every_table_with_its_interval(html: str, figures: dict[str, Any]) -> None:
    for name in figures["policies"]:
        assert html.count(f"<td>{name}</td>") >= 8  # F1, two metrics, the mixture and four tasks
    row = figures["policies"]["linucb"]
    low, high = row["ci95"]
    assert f"{100 * row['f1']:.1f} ({100 * low:.1f} to {100 * high:.1f})" in html


def test_markdown_has_the_same_tables_and_findings(figures: dict[str, Any]) -> None:
    text = markdown(figures)
    assert text.startswith("# ")
    for finding in figures["findings"]:
        assert finding["says"] in text
        for one in finding["comparisons"]:
            row = f"| {one['of']} against {one['against']}, {one['over']} | {100 * one['value']:+.1f} ("
            assert row in text
            assert f" | {one['verdict']} |" in text
    for section in sections(figures):
        assert f"## {section.title}" in text
    tables = re.findall(r"(?:^\|.*\|\n)+", text, re.M)
    for table in tables:
        columns = {len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}
        assert len(columns) == 1, "every row has as many cells"
    assert "bad \\| row: 2" in text


def test_many_learners_have_a_chart_for_each_mode() -> None:
    names = ("linucb", "lints", "squarecb", "epsilon-greedy")
    text = all_figures(run(make_report_pool(40), make_plan(learners=names, orders=1)))
    charts = pictures.learned(text)
    assert len(charts) == 3
    # Two bounds everywhere, the blind learner partial and full, and the one that blends full alone.
    assert [len(chart.lines) for chart in charts] == [7, 8, 6]
    for chart in charts:
        assert [name for name, line in chart.lines.items() if line.bound] == [
            "best single",
            "best arm per task",
        ]


def test_a_chart_of_shares_names_the_arms_that_its_learner_had(figures: dict[str, Any]) -> None:
    arms = [*(arm["name"] for arm in figures["pool"]["arms"]), "blend"]
    charts = pictures.shares(figures, arms)
    assert ["blend" in chart.colours for chart in charts] == [
        "linucb+blend" in chart.title for chart in charts
    ]
    assert ["long" in chart.colours for chart in charts] == [True] * len(charts)
    assert len(charts) == 4


def test_every_metric_has_a_name_in_words() -> None:
    assert {*MEASURES, CLASSIFICATION, PREFERENCE, CORRECTNESS, REWARD} <= set(TITLES)


def test_questions_of_one_task_have_a_best_arm_and_no_best_arm_of_each_task(figures: dict[str, Any]) -> None:
    text = markdown(figures)
    assert text.count("They are of one task, for which") == len(figures["tasks"]) + len(figures["metrics"])
    assert text.count("The best arm of each task gains") == 2, "F1 and all questions"


def test_settings_that_are_lists_are_told_without_brackets_and_quotes(figures: dict[str, Any]) -> None:
    context = {"context.encoder": "hash", "context.tasks": ["chat", "math"]}
    text = markdown(figures | {"pool": figures["pool"] | {"context": context}})
    assert "| context | context.encoder hash, context.tasks (chat, math) |" in text


def test_texts_are_escaped(figures: dict[str, Any]) -> None:
    """Names of files, arms and tasks may hold anything."""
    named = json.dumps(figures)
    for name in ("multi-doc-qa", "long", "math"):
        named = named.replace(f'"{name}"', json.dumps(f"{name}<script>alert('1')</script>&|`"))
    evil = json.loads(named) | {"machine": "<script>alert(1)</script>"}
    evil["pool"]["files"] = {"<script>.jsonl": 3}
    text = page(evil)
    outline = Outline()
    outline.feed(text)
    assert (outline.open, outline.fetched) == ([], [])
    assert "<script" not in text
    assert "&lt;script&gt;alert(&#x27;1&#x27;)&lt;/script&gt;&amp;|`" in text
    for image in outline.images:
        content = base64.b64decode((image["src"] or "").partition(",")[2])
        assert all("script" not in one.tag for one in ElementTree.fromstring(content).iter())
    assert not re.search(r"(?<!\\)<script", markdown(evil))


def test_equal_figures_make_equal_pages(html: str, figures: dict[str, Any]) -> None:
    assert page(figures) == html
