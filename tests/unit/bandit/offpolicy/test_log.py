"""Checks of a log, and the weights that a target gives its decisions."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laserve.errors import InvalidRequest
from offpolicy_logs import make_log, sample_log

TARGET = np.array([[0.2, 0.6, 0.2], [0.6, 0.0, 0.4]])
CHANCES = st.lists(st.integers(1, 9), min_size=3, max_size=3).map(lambda parts: np.array(parts) / sum(parts))
TEXTS = st.lists(st.integers(0, 2), min_size=3, max_size=3)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("x", [[1.0, 0.5]], r"^x: has shape \(1, 2\) instead of 2 rows of features$"),
        ("x", [1.0, 0.5], r"^x: has shape \(2,\) instead of 2 rows of features$"),
        ("x", [[1.0, 0.5], [1.0, float("nan")]], r"^x: row 1 is not finite$"),
        ("drawn", [1, 3], r"^drawn: row 1 is not in 0..2$"),
        ("drawn", [-1, 0], r"^drawn: row 0 is not in 0..2$"),
        ("drawn", [1.0, 0.0], r"^drawn: cannot be of type float64$"),
        ("logged", [[0.5, 0.5], [0.5, 0.5]], r"^logged: has shape \(2, 2\) instead of \(2, 3\)$"),
        ("logged", [[0.5, 0.3, 0.2], [0.5, 0.1, 0.3]], r"^logged: row 1 does not sum to 1$"),
        ("logged", [[0.9, 0.3, -0.2], [0.5, 0.1, 0.4]], r"^logged: row 0 is below 0$"),
        ("logged", [[0.5, 0.0, 0.5], [0.5, 0.1, 0.4]], r"^drawn: row 0 is an arm whose logged chance is 0$"),
        ("logged", [[0.5, 0.3, float("inf")], [0.5, 0.1, 0.4]], r"^logged: row 0 is not finite$"),
        ("reward", [1.0, 1.01], r"^reward: row 1 is not in \[0, 1\]$"),
        ("reward", [-0.01, 1.0], r"^reward: row 0 is not in \[0, 1\]$"),
        ("reward", [1.0, float("nan")], r"^reward: row 1 is not finite$"),
        ("reward", [1.0], r"^reward: has shape \(1,\) instead of \(2,\)$"),
        ("winners", [[-1, 2, -2], [0, 0, 3]], r"^winners: row 0 is below -1$"),
        ("returned", [-1, 0], r"^returned: row 0 is below 0$"),
        ("returned", [2, 3], r"^returned: row 1 is not the text that the drawn arm chose$"),
        ("shadowed", [0, 1], r"^shadowed: cannot be of type int64$"),
        ("clusters", ["bridge"], r"^clusters: has shape \(1,\) instead of \(2,\)$"),
        ("clusters", [None, None], r"^clusters: cannot be of type object$"),
    ],
)
def test_a_bad_value_is_refused_and_named(field: str, value: Any, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message) as caught:
        make_log(**{field: value})
    assert caught.value.param == message.removeprefix("^").partition(":")[0]


def test_a_log_without_decisions_or_arms_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="there must be an arm and a decision"):
        make_log(drawn=np.zeros(0, dtype=int))
    with pytest.raises(InvalidRequest, match="there must be an arm and a decision"):
        make_log(arms=())


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (TARGET[:1], r"^target: has shape \(1, 3\) instead of \(2, 3\)$"),
        (TARGET * 0.5, r"^target: row 0 does not sum to 1$"),
        ([[1.2, -0.2, 0.0], [1.0, 0.0, 0.0]], r"^target: row 0 is below 0$"),
        ([[float("nan"), 0.5, 0.5], [1.0, 0.0, 0.0]], r"^target: row 0 is not finite$"),
    ],
)
def test_a_target_that_is_no_distribution_is_refused(target: Any, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message) as caught:
        make_log().ratios(np.asarray(target))
    assert caught.value.param == "target"


def test_a_target_that_wants_an_arm_which_could_not_be_drawn_is_refused() -> None:
    log = make_log(logged=[[0.5, 0.3, 0.2], [0.9, 0.1, 0.0]])
    with pytest.raises(InvalidRequest, match=r"^target: row 1 wants an arm that the log could not draw$"):
        log.ratios(TARGET)


def test_a_row_weighs_what_the_target_wants_of_the_drawn_arm_over_its_logged_chance() -> None:
    log = make_log(shadowed=[False, False])
    np.testing.assert_allclose(log.at_drawn(log.ratios(TARGET)), [0.6 / 0.3, 0.6 / 0.5])


def test_on_a_shadowed_row_the_arms_of_the_returned_text_are_weighed_together() -> None:
    log = make_log()
    np.testing.assert_allclose(log.at_drawn(log.ratios(TARGET)), [0.6 / 0.3, (0.6 + 0.0) / (0.5 + 0.1)])


@pytest.mark.parametrize("winners", [[0, 0, -1], [0, -1, 3], [0, -1, -1]])
def test_a_shadowed_row_with_a_winner_unknown_is_read_arm_by_arm(winners: list[int]) -> None:
    log = make_log(winners=[[-1, 2, -1], winners])
    np.testing.assert_allclose(log.at_drawn(log.ratios(TARGET))[1], 0.6 / 0.5)


def test_an_arm_that_could_not_be_drawn_need_not_be_known() -> None:
    log = make_log(logged=[[0.5, 0.3, 0.2], [0.8, 0.2, 0.0]], winners=[[-1, 2, -1], [0, 0, -1]])
    target = np.array([[0.2, 0.6, 0.2], [0.5, 0.5, 0.0]])
    np.testing.assert_allclose(log.at_drawn(log.ratios(target))[1], 1.0)


def test_a_row_whose_winners_are_known_by_accident_is_read_arm_by_arm() -> None:
    log = make_log(shadowed=[False, False])
    assert (log.winners[1] >= 0).all()
    np.testing.assert_allclose(log.at_drawn(log.ratios(TARGET))[1], 0.6 / 0.5)


@given(
    logged=CHANCES,
    target=CHANCES,
    texts=TEXTS,
    quality=st.lists(st.floats(0, 1), min_size=3, max_size=3),
    shadow_share=st.sampled_from([0.0, 0.25, 1.0]),
)
def test_weighted_rewards_have_the_target_s_value_for_their_mean_however_many_rows_are_shadowed(
    logged: np.ndarray, target: np.ndarray, texts: list[int], quality: list[float], shadow_share: float
) -> None:
    mean = mass = 0.0
    for drawn, shadowed in itertools.product(range(3), (False, True)):
        chance = logged[drawn] * (shadow_share if shadowed else 1 - shadow_share)
        log = one_row(drawn, logged, texts, shadowed)
        weight = log.at_drawn(log.ratios(target[None]))[0]
        mean += chance * weight * quality[texts[drawn]]
        mass += chance * weight
    assert mass == pytest.approx(1.0)
    assert mean == pytest.approx(sum(target[arm] * quality[texts[arm]] for arm in range(3)))


@given(logged=CHANCES, target=CHANCES, texts=TEXTS)
def test_the_weight_of_a_text_is_the_mean_weight_of_the_arms_behind_it(
    logged: np.ndarray, target: np.ndarray, texts: list[int]
) -> None:
    for drawn in range(3):
        log = one_row(drawn, logged, texts, shadowed=True)
        behind = [arm for arm in range(3) if texts[arm] == texts[drawn]]
        alone = sum(logged[arm] * (target[arm] / logged[arm]) for arm in behind) / logged[behind].sum()
        assert log.at_drawn(log.ratios(target[None]))[0] == pytest.approx(alone)


def test_the_arms_of_a_text_share_a_row_by_their_chances_of_having_been_drawn() -> None:
    np.testing.assert_allclose(make_log().shares(), [[0, 1, 0], [0.5 / 0.6, 0.1 / 0.6, 0]])


def test_a_log_can_be_cut_to_some_of_its_rows() -> None:
    log, target = sample_log(rows=40)
    chosen = np.arange(40) % 3 == 0
    part = log.rows(chosen)
    assert (len(part), part.arms) == (14, log.arms)
    np.testing.assert_array_equal(part.ratios(target[chosen]), log.ratios(target)[chosen])


def one_row(drawn: int, logged: np.ndarray, texts: list[int], shadowed: bool) -> Any:
    known = [text if shadowed or arm == drawn else -1 for arm, text in enumerate(texts)]
    return make_log(
        x=[[1.0]],
        drawn=[drawn],
        logged=[logged],
        reward=[0.0],
        winners=[known],
        returned=[texts[drawn]],
        shadowed=[shadowed],
        clusters=[0],
    )
