import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from builders import make_candidates, make_decision
from laserve.errors import StoreError
from laserve.history.export import Export, line_of, rewards_of
from laserve.storage.base import Logged, StoredFeedback, Wanted


def row(
    position: int = 1, *, learned: bool = False, earned: float | None = 0.5, **body: Any
) -> StoredFeedback:
    """A stored feedback: `body` holds its kind; an empty body stands for one that is not kept."""
    said = {"decision_id": "decision-1", "source": ""} | body if body else None
    return StoredFeedback(
        key="",
        identity=f"key:{position}",
        decision_id="decision-1",
        digest=None,
        body=said,
        learned=learned,
        reward=earned,
        position=position,
        created_at=1000.0 + position,
    )


def logged(*feedback: StoredFeedback, **changes: Any) -> Logged:
    return Logged(decision=make_decision(**changes), feedback=feedback)


class Decisions:
    """Fake of a store with these decisions; it raises the exceptions among them."""

    def __init__(self, *rows: Logged | Exception) -> None:
        self.rows = rows

    async def decisions(self, wanted: Wanted) -> AsyncGenerator[Logged]:
        for each in self.rows:
            if isinstance(each, Exception):
                raise each
            yield each


@pytest.mark.parametrize(
    ("body", "reward", "rewards"),
    [
        ({"reward": 0.3}, 0.3, [0.3, None, 0.3, None]),  # the third has the same text as the answer
        ({"reward": 0}, 0.0, [0.0, None, 0.0, None]),
        ({"thumb": 1.0}, 1.0, [1.0, None, 1.0, None]),
        ({"chosen_index": 0}, 1.0, [1.0, 0.0, 1.0, 0.0]),
        ({"chosen_index": 3}, 0.0, [0.0, 0.0, 0.0, 1.0]),
        ({"candidate_rewards": [0.9, 0.5, 0.1, 0]}, 0.9, [0.9, 0.5, 0.1, 0.0]),
        ({"references": ["c", "b"], "metric": "f1"}, 0.0, [0.0, 1.0, 0.0, 1.0]),
        ({"references": ["b x"], "metric": "f1"}, 0.0, [0.0, 2 / 3, 0.0, 0.0]),
        ({"references": ["b x"], "metric": "exact_match"}, 0.0, [0.0, 0.0, 0.0, 0.0]),
        ({"default_reward": 0.25}, 0.25, [0.25, None, 0.25, None]),
        # In a range other than the present one, or than 0 to 1.
        ({"reward": -0.5, "reward_range": [-1, 1]}, 0.25, [0.25, None, 0.25, None]),
        ({"candidate_rewards": [5, 2, 1, 3], "reward_range": [1, 5]}, 1.0, [1.0, 0.25, 0.0, 0.5]),
        ({}, 0.75, [0.75, None, 0.75, None]),  # its body is not kept
    ],
)
def test_a_feedback_tells_the_reward_of_each_candidate_that_it_speaks_of(
    body: dict[str, Any], reward: float, rewards: list[float | None]
) -> None:
    one = logged(row(earned=reward, **body), candidates=make_candidates("a", "b.", "a", "c"))
    assert rewards_of(one) == pytest.approx(rewards)
    assert line_of(one)["reward"] == reward


def test_without_feedback_no_reward_is_known() -> None:
    assert rewards_of(logged()) == [None] * 4
    assert line_of(logged())["reward"] is None
    assert rewards_of(logged(row(earned=None))) == [None] * 4


def test_the_returned_answer_counts_not_the_first_one() -> None:
    assert rewards_of(logged(row(thumb=1.0), index=1)) == [None, 1.0, None, None]


CHOSEN = {"chosen_index": 1}
ALL = {"candidate_rewards": [0.1, 0.2, 0.3, 0.4]}
DEFAULT = {"default_reward": 0.25}


@pytest.mark.parametrize(
    ("feedback", "rewards"),
    [
        # Feedback that taught comes first, and of it the last.
        ([row(1, learned=True, **ALL), row(2, **CHOSEN)], [0.1, 0.2, 0.3, 0.4]),
        ([row(1, learned=True, **ALL), row(2, learned=True, **CHOSEN)], [0.0, 1.0, 0.0, 0.0]),
        ([row(1, learned=True, **DEFAULT), row(2, learned=True, **CHOSEN)], [0.0, 1.0, 0.0, 0.0]),
        # Where none taught, the last feedback.
        ([row(1, **CHOSEN), row(2, **ALL)], [0.1, 0.2, 0.3, 0.4]),
        # A default reward counts last, whichever came first.
        ([row(1, **ALL), row(2, learned=True, **DEFAULT)], [0.1, 0.2, 0.3, 0.4]),
        ([row(1, learned=True, **DEFAULT), row(2, **ALL)], [0.1, 0.2, 0.3, 0.4]),
    ],
)
def test_of_several_feedbacks_the_last_that_counts_tells_the_rewards(
    feedback: list[StoredFeedback], rewards: list[float | None]
) -> None:
    assert rewards_of(logged(*feedback)) == rewards


@pytest.mark.parametrize(
    "request_",
    [
        {"prompt": "p"},
        {"messages": [{"role": "user", "content": "hi"}]},
        {"question": "who", "documents": [{"title": "", "text": "Ada"}]},
    ],
)
def test_a_line_holds_the_request_the_candidates_and_the_feedback(request_: dict[str, Any]) -> None:
    said = row(7, learned=True, earned=0.0, references=["b"], metric="rouge_l", source="ann")
    line = line_of(logged(said, request=request_, task="chat"))
    candidates = [("a", -1.0), ("b", -2.0), ("a", -3.0), ("c", -4.0)]
    assert line == {
        "id": "decision-1",
        "created_at": 1000.0,
        "task": "chat",
        "policy": "linucb",
        "arm": "loglik",
        "scored_by": "loglik",
        "propensity": 0.5,
        "metadata": {},
        **request_,
        "candidates": [{"text": text, "logprob": value, "tokens": 2} for text, value in candidates],
        "index": 0,
        "scores": {"loglik": [-1.0, -2.0, -3.0, -4.0]},
        "feedback": [
            {
                "kind": "references",
                "value": ["b"],
                "metric": "rouge_l",
                "source": "ann",
                "reward": 0.0,
                "learned": True,
                "created_at": 1007.0,
            }
        ],
        "rewards": [0.0, 1.0, 0.0, 0.0],
        "reward": 0.0,
    }


def test_a_default_and_a_feedback_without_words_are_told_apart() -> None:
    default, bare = line_of(logged(row(1, earned=0.25, **DEFAULT), row(2, earned=1.0)))["feedback"]
    assert (default["kind"], default["value"], default["reward"]) == ("default", 0.25, 0.25)
    assert (bare["kind"], bare["value"], bare["source"], bare["reward"]) == (None, None, None, 1.0)


def test_a_reward_in_another_unit_is_told_with_that_unit() -> None:
    said = row(1, earned=0.25, reward=-0.5, reward_range=[-1, 1])
    (word,) = line_of(logged(said))["feedback"]
    assert (word["value"], word["reward_range"], word["reward"]) == (-0.5, [-1, 1], 0.25)


async def test_decisions_without_their_texts_are_left_out_and_counted() -> None:
    rows = [logged(retention=kept, id=kept) for kept in ("hash", "full", "none")]
    export = Export(Decisions(*rows), Wanted())  # type: ignore[arg-type]
    lines = [line async for line in export.lines()]
    assert [json.loads(line)["id"] for line in lines] == ["full"]
    assert (export.exported, export.left_out) == (1, 2)


async def test_a_line_is_one_line_whatever_the_texts_hold() -> None:
    odd = "a\nb\r\u2028 ﷽ \ud800 \0"
    export = Export(Decisions(logged(request={"prompt": odd})), Wanted())  # type: ignore[arg-type]
    (line,) = [line async for line in export.lines()]
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert json.loads(line)["prompt"] == odd.replace("\ud800", "?")


async def test_lines_come_as_they_are_read() -> None:
    export = Export(Decisions(logged(), StoreError("locked")), Wanted())  # type: ignore[arg-type]
    lines = export.lines()
    assert json.loads(await anext(lines))["id"] == "decision-1"
    with pytest.raises(StoreError):
        await anext(lines)
