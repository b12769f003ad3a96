"""What each way to choose is worth on a question of a pool."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import make_candidate, make_pool, make_pool_question
from laserve.arms.attempt import best_of
from laserve.errors import ConfigError
from laserve.lab.replay.table import returned, tabulate

NAN = float("nan")


@pytest.mark.parametrize(
    ("scores", "logprobs", "tokens", "quality"),
    [
        ([0.1, 0.9, 0.5], [-1, -1, -1], (1, 1, 1), 0.2),
        ([0.9, 0.9, 0.5], [-2, -1, -1], (1, 1, 1), 0.2),  # the likelier of a tie
        ([0.9, 0.9, 0.5], [-2, -3, -1], (1, 3, 1), 0.2),  # by the mean over its tokens
        ([0.9, 0.9, 0.5], [-1, -1, -1], (1, 1, 1), 0.1),  # the first of those
        ([NAN, 0.9, 0.5], [-1, -9, -1], (1, 1, 1), 0.2),
        ([0.9, 0.9, 0.5], [NAN, NAN, NAN], (0, 0, 0), 0.15),  # not known: the mean of the tie
    ],
)
def test_the_best_score_wins_and_ties_go_as_in_the_service(
    scores: list[float], logprobs: list[float], tokens: tuple[int, ...], quality: float
) -> None:
    question = make_pool_question({}, [0.1, 0.2, 0.3], logprobs=np.array(logprobs), tokens=tokens)
    assert returned(np.array(scores), question) == pytest.approx(quality)


@given(
    rows=st.lists(st.tuples(st.integers(0, 2), st.integers(-3, 0), st.integers(1, 3)), min_size=1, max_size=6)
)
def test_a_pool_returns_the_candidate_that_the_service_returns(rows: list[tuple[int, int, int]]) -> None:
    scores = np.array([float(score) for score, _, _ in rows])
    candidates = [
        make_candidate(index, f"text {index}", logprob=float(logprob), tokens=tokens)
        for index, (_, logprob, tokens) in enumerate(rows)
    ]
    question = make_pool_question(
        {},
        np.arange(len(rows)) / len(rows),
        logprobs=np.array([candidate.logprob for candidate in candidates]),
        tokens=tuple(candidate.tokens for candidate in candidates),
    )
    assert returned(scores, question) == best_of(scores, candidates) / len(rows)


def test_an_arm_without_scores_is_worth_the_mean_of_those_that_have_some() -> None:
    question = make_pool_question({"a": [1.0, 0.0], "b": [0.0, 1.0], "c": [NAN, NAN]}, [0.2, 0.6])
    table = tabulate(make_pool(question))
    np.testing.assert_allclose(table.rewards, [[0.2, 0.6, 0.4]])
    assert table.available.tolist() == [[True, True, False]]


def test_a_question_that_no_arm_has_scored_is_not_in_the_table() -> None:
    empty = make_pool_question({"a": [NAN, NAN]}, [0.2, 0.6])
    scored = make_pool_question({"a": [0.0, 1.0]}, [0.2, 0.6])
    assert tabulate(make_pool(empty, scored)).ids == ("questions/q2",)
    with pytest.raises(ConfigError, match="no question has scores"):
        tabulate(make_pool(empty))


def test_ensembles_differ_where_one_arm_is_sure() -> None:
    # The first arm is sure of the last candidate, the second slightly prefers the first two; the third has
    # no scores, and no say.
    scores = {"a": [0.0, 0.0, 0.0, 0.0, 9.0], "b": [4.0, 4.0, 3.0, 2.0, 2.0], "c": [NAN] * 5}
    table = tabulate(make_pool(make_pool_question(scores, [0.1, 0.2, 0.3, 0.4, 0.5])))
    assert table.ensemble_mean.tolist() == [0.5]
    assert table.ensemble_rank.tolist() == [0.1]
