"""Logged decisions as rows of off-policy evaluation."""

from typing import Any

import numpy as np
import pytest

from builders import make_decision
from laserve.history.rows import History, offpolicy_log
from laserve.storage.base import Logged, StoredFeedback
from laserve.types import Decision


def stored(reward: float | None, *, learned: bool = True, position: int = 9) -> StoredFeedback:
    return StoredFeedback(
        key="",
        identity=str(position),
        decision_id="decision-1",
        digest=None,
        body=None,
        learned=learned,
        reward=reward,
        position=position,
        created_at=1.0,
    )


def history(*logged: Logged) -> History:
    made = History()
    for each in logged:
        made.add(each)
    return made


def logged(*feedback: StoredFeedback, **changes: Any) -> Logged:
    decision: Decision = make_decision(**changes)
    return Logged(decision=decision, feedback=feedback)


def test_the_reward_is_the_latest_that_taught() -> None:
    (row,) = history(logged(stored(0.25), stored(1.0), stored(0.5, learned=False))).rows
    assert row.reward == 1.0


def test_a_decision_without_feedback_that_taught_has_none() -> None:
    (row,) = history(logged(stored(0.5, learned=False))).rows
    assert row.reward is None


def test_texts_are_named_by_their_first_candidate() -> None:
    (row,) = history(logged(choices={"loglik": 2, "consensus": 1}, index=2)).rows
    assert row.winners == {"loglik": 0, "consensus": 1}
    assert row.returned == 0


def test_a_drawn_arm_that_another_replaced_has_no_text() -> None:
    (row,) = history(logged(arm="relevance", scored_by="loglik")).rows
    assert row.winners == {"loglik": 0, "consensus": 1}
    assert row.drawn == "relevance"


def test_decisions_that_tell_nothing_are_counted_by_why() -> None:
    made = history(logged(propensity=None), logged(scored_by=None), logged(propensity=None), logged())
    assert made.left_out == {"drawn by no policy": 2, "scored by no arm": 1}
    assert len(made.rows) == 1


@pytest.mark.parametrize(
    ("metadata", "cluster"),
    [({"source": "article"}, "article"), ({"source": 7}, "decision-1"), ({}, "decision-1")],
)
def test_rows_of_one_source_belong_together(metadata: dict[str, Any], cluster: str) -> None:
    (row,) = history(logged(metadata=metadata)).rows
    assert row.cluster == cluster


def test_the_arrays_say_what_the_rows_say() -> None:
    made = history(
        logged(stored(0.5)), logged(arm="consensus", scored_by="consensus", index=1, shadowed=True)
    )
    log = offpolicy_log(made.rows)
    assert log.arms == ("loglik", "consensus", "relevance")
    assert log.drawn.tolist() == [0, 1]
    assert log.logged.tolist() == [[0.5, 0.25, 0.25]] * 2
    assert log.reward.tolist() == [0.5, 0.0]
    assert log.winners.tolist() == [[0, 1, 3], [0, 1, 3]]
    assert log.returned.tolist() == [0, 1]
    assert log.shadowed.tolist() == [False, True]
    assert np.array_equal(log.x[0], make_decision().x)


def test_an_arm_that_was_not_there_could_not_be_drawn() -> None:
    (row,) = history(logged()).rows
    assert row.could_draw({"loglik": 1.0, "newcomer": 0.0})
    assert not row.could_draw({"newcomer": 1.0})
