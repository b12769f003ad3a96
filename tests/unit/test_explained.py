"""What pages of docs/ say of the log, the policies and the bandit is what the code does."""

import json
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from laserve.bandit.policies.exploration import Exploration
from laserve.bandit.policies.linucb import LinUCB
from laserve.bandit.state.fold import BanditState
from laserve.bandit.state.linear import LinearModel
from laserve.config import PolicySettings, Settings
from laserve.context.features import ContextBuilder, Features
from laserve.eventlog.learner import Learner
from laserve.eventlog.model_changes import Fingerprints
from laserve.eventlog.opening import Opening
from laserve.models.encoder import HashEncoder
from laserve.serve.wiring import make_policies
from laserve.storage.tables import metadata
from laserve.types import Event, Update

DOCS = Path(__file__).parents[2] / "docs"
LOGS = sorted((Path(__file__).parents[1] / "golden" / "logs").glob("*.db"))
LOG_PAGE = (DOCS / "reference" / "event-log.md").read_text(encoding="utf-8")
#: Words that no page could do without.
WORDS = (
    *("arm", "candidate", "context", "decision", "digest", "effective sample size", "event", "exploration"),
    *("feedback", "fold", "policy", "pool", "propensity", "regret", "retention", "reward", "shadow scoring"),
    *("snapshot", "task", "width"),
)


def read(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def rows(text: str, heading: str) -> dict[str, str]:
    """First cell, without its code marks -> the whole row, of the first table below a heading."""
    table = re.search(rf"^## {heading}[^\n]*\n.*?\n((?:\|[^\n]*\n)+)", text, re.MULTILINE | re.DOTALL)
    assert table is not None, heading
    lines = table[1].splitlines()[2:]
    return {re.sub("`", "", line.split(" | ")[0]).strip("| "): line for line in lines}


# how it learns


def test_the_worked_example_prints_what_the_page_shows() -> None:
    match = re.search(
        r"```python\n(.*?)```\n.*?```text\n(.*?)```", read("explanation/how-it-learns.md"), re.DOTALL
    )
    assert match is not None
    printed = subprocess.run([sys.executable, "-c", match[1]], check=True, capture_output=True, text=True)
    assert printed.stdout == match[2]


def test_the_numbers_of_the_worked_example_are_those_of_the_service() -> None:
    maths, chat = np.array([1.0, 1.0]), np.array([1.0, 0.0])
    lessons = [("grounded", maths, 0.0), ("stepwise", maths, 1.0), *[("grounded", chat, 1.0)] * 4]
    model, arms = LinearModel(BanditState()), ("grounded", "stepwise")
    model.apply(
        Event(
            position=1, kind="start", created_at=0.0, body={"prior_diagonal": [2.0, 2.0], "learn_from": None}
        ),
        *(
            Event(position=n, kind="arm", created_at=0.0, body={"name": name, "prior_mean": [0.5, 0.0]})
            for n, name in enumerate(arms, start=2)
        ),
        *(
            Event(
                position=n,
                kind="feedback",
                created_at=0.0,
                decision_id=str(n),
                x=x,
                updates=(Update(arm=arm, reward=reward),),
                body={"kind": "reward", "played": arm, "reward": reward},
            )
            for n, (arm, x, reward) in enumerate(lessons, start=4)
        ),
    )
    exploration = Exploration(epsilon=0.1, epsilon_start=0.1, epsilon_start_decisions=0)
    policy = LinUCB(exploration=exploration, alpha=0.3)
    shown = read("explanation/how-it-learns.md").split("chat, after grounded earned 1 four times there\n")[1]
    for x, lines in ((chat, shown.splitlines()[:2]), (maths, shown.splitlines()[3:5])):
        columns = zip(
            arms,
            model.means(x, arms),
            model.widths(x, arms),
            policy.probabilities(model, x, arms, 0),
            strict=True,
        )
        for line, (arm, mean, width, chance) in zip(lines, columns, strict=True):
            assert line.startswith(f"  {arm}: mean {mean:.3f}, width {width:.3f}, ")
            assert line.endswith(f"chance {chance:.2f}")


def test_the_page_counts_the_features_of_the_default_context() -> None:
    tasks = Settings().context.tasks
    context = ContextBuilder(encoder=HashEncoder(), features=Features.read(), tasks=tasks)
    page = read("explanation/how-it-learns.md")
    assert f"x has d = {context.dimension} numbers" in page
    counts = [
        sum(map(int, re.findall(r"\d+", row.split(" | ")[1]))) for row in rows(page, "What it sees").values()
    ]
    assert sum(counts) == context.dimension


# policies


def test_every_policy_stands_in_a_table_of_the_page_of_policies() -> None:
    page = read("reference/policies.md")
    names = make_policies(PolicySettings(), lambda: ()).names
    assert [name for name in names if f"| `{name}` |" not in page] == []


# the event log


def test_the_page_lists_each_setting_that_a_log_fixes_and_no_other() -> None:
    context = ContextBuilder(encoder=HashEncoder(), features=Features.read(), tasks=("chat",))
    opening = Opening(context=context, arms=["a"], policy=PolicySettings())
    learner = Learner(seed=0)
    start = opening.missing(learner.state, Fingerprints(), learner.newcomer_mean)[0]
    fixed = rows(LOG_PAGE, "What a log fixes for good")
    assert set(fixed) == {*start.body["settings"], "policy.learn_from"}


def test_the_page_lists_the_columns_of_every_table() -> None:
    listed = rows(LOG_PAGE, "Tables")
    for table in metadata.tables.values():
        missing = [column.name for column in table.columns if f"`{column.name}`" not in listed[table.name]]
        assert missing == [], table.name


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.stem)
def test_the_page_names_the_kind_and_the_fields_of_every_event_of_a_recorded_log(path: Path) -> None:
    kinds, fields = rows(LOG_PAGE, "Kinds of events"), rows(LOG_PAGE, "Fields of feedback")
    with sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True) as database:
        events = database.execute("SELECT kind, payload FROM events").fetchall()
    for kind, payload in events:
        text = "\n".join(fields) if kind == "feedback" else kinds[kind]
        assert [name for name in json.loads(payload)["body"] if name not in text] == [], kind


# the glossary


def test_the_glossary_has_each_word_once_by_alphabet_with_one_sentence_and_a_page() -> None:
    lines = [line for line in read("glossary.md").splitlines() if line.startswith("| ")][2:]
    cells = [line.strip("| ").split(" | ") for line in lines]
    words = [word.casefold() for word, _, _ in cells]
    latin = [word for word in words if not word.startswith("θ")]
    assert latin == sorted(latin)
    assert len(set(words)) == len(words)
    for word, meaning, more in cells:
        assert re.fullmatch(r"\S.*[^.]\.", meaning), word
        assert re.fullmatch(r"\[.+\]\(.+\.md(#.+)?\)", more), word


@pytest.mark.parametrize("word", WORDS)
def test_the_glossary_has_the_words_of_the_design(word: str) -> None:
    assert re.search(rf"^\| {word}[ ,|]", read("glossary.md"), re.MULTILINE)
