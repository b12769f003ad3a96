"""The weights of the arm that combines the others."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laserve.bandit.state.blending import Blending, Lesson

ARMS = ("bad", "good", "noise")


def scores(rng: Any, quality: np.ndarray, worth: dict[str, float]) -> dict[str, list[float]]:
    """Each arm's scores: its share of the truth, in a unit of its own, and noise."""
    return {
        arm: (100 * (truth * quality + rng.normal(size=len(quality)) * 0.5) - 7).tolist()
        for arm, truth in worth.items()
    }


def lessons(number: int, worth: dict[str, float], *, task: str = "qa", seed: int = 0) -> list[Lesson]:
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(number):
        quality = rng.uniform(size=8)
        lesson = Lesson.of(task, scores(rng, quality, worth), quality.tolist())
        assert lesson is not None
        made.append(lesson)
    return made


def taught(*groups: list[Lesson]) -> Blending:
    blending = Blending()
    for lesson in (each for group in groups for each in group):
        blending.learn(lesson, 1)
    return blending


def test_before_anything_is_learned_all_weigh_the_same() -> None:
    weights = Blending().weights("qa", ARMS)
    assert weights == pytest.approx(np.full(3, weights[0]))
    assert weights[0] > 0


def test_an_arm_weighs_by_what_it_knows() -> None:
    weights = taught(lessons(400, {"bad": -1.0, "good": 2.0, "noise": 0.0})).weights("qa", ARMS)
    assert weights[1] > abs(weights[2])
    assert weights[0] < 0


def test_many_lessons_give_the_least_squares_weights() -> None:
    worth = {"bad": 0.2, "good": 2.0, "noise": 0.0}
    rng = np.random.default_rng(3)
    blending, rows, qualities = Blending(), [], []
    for _ in range(3000):
        quality = rng.uniform(size=8)
        given = scores(rng, quality, worth)
        lesson = Lesson.of("qa", given, quality.tolist())
        assert lesson is not None
        blending.learn(lesson, 1)
        z = np.array([given[arm] for arm in ARMS])
        rows.append((z - z.mean(axis=1, keepdims=True)) / z.std(axis=1, keepdims=True))
        qualities.append((quality - quality.mean()) / quality.std())
    exact = np.linalg.lstsq(np.concatenate(rows, axis=1).T, np.concatenate(qualities), rcond=None)[0]
    assert blending.weights("qa", ARMS) == pytest.approx(exact, abs=0.01)


def test_a_task_that_is_new_takes_the_weights_of_all_tasks() -> None:
    blending = taught(lessons(300, {"bad": 0.0, "good": 2.0, "noise": 0.0}))
    assert blending.weights("math", ARMS).argmax() == 1


def test_a_task_of_its_own_kind_gets_weights_of_its_own() -> None:
    usual = lessons(300, {"bad": 0.0, "good": 2.0, "noise": 0.0})
    other = lessons(300, {"bad": 2.0, "good": 0.0, "noise": 0.0}, task="math", seed=1)
    blending = taught(usual, other)
    assert blending.weights("qa", ARMS).argmax() == 1
    assert blending.weights("math", ARMS).argmax() == 0


def test_an_arm_that_is_new_weighs_what_is_expected_of_it() -> None:
    blending = taught(lessons(300, {"bad": 0.0, "good": 2.0}))
    fresh = Blending().weights("qa", (*ARMS, "newcomer"))[3]
    assert blending.weights("qa", (*ARMS, "newcomer"))[3] == pytest.approx(fresh)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 20))
def test_what_is_taken_back_leaves_nothing(seed: int, number: int) -> None:
    kept = lessons(number, {"bad": 1.0, "good": 2.0, "noise": 0.0}, seed=seed)
    (wrong,) = lessons(1, {"bad": 1.0, "good": -2.0, "noise": 0.0}, seed=seed + 1)
    blending = taught(kept, [wrong])
    blending.learn(wrong, -1)
    assert blending.weights("qa", ARMS) == pytest.approx(taught(kept).weights("qa", ARMS), abs=1e-9)


def test_a_lesson_survives_json() -> None:
    (lesson,) = lessons(1, {"bad": 1.0, "good": 2.0})
    assert Lesson.from_json(json.loads(json.dumps(lesson.to_json()))) == lesson


@pytest.mark.parametrize(
    ("given", "qualities"),
    [
        ({"one": [1.0, 2.0]}, [0.0, 1.0]),
        ({"one": [1.0, 2.0], "two": [None, 1.0]}, [0.0, 1.0]),
        ({"one": [1.0, 2.0], "two": [2.0, 1.0]}, [0.5, 0.5]),
    ],
    ids=["one arm", "one arm with all scores", "equal qualities"],
)
def test_a_decision_that_says_nothing_is_no_lesson(given: Any, qualities: list[float]) -> None:
    assert Lesson.of("qa", given, qualities) is None
