"""Examples for the classification of the context by best arm, and the fit on them."""

import numpy as np
import pytest

from laserve.bandit.state.examples import KEPT, REFIT_EVERY, Example, Examples, fit, preferences
from laserve.types import Update

RIDGE = np.array([1.0, 1.0, 1.0])


def rewards(**by_arm: float) -> list[Update]:
    return [Update(arm=arm, reward=reward) for arm, reward in by_arm.items()]


def world(number: int, seed: int = 0) -> list[Example]:
    """Arm `a` is best where the second feature is above 0, else `b`; `c` shares with both at random."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(number):
        x = np.array([1.0, *rng.normal(size=2)])
        best = ["a" if x[1] > 0 else "b"] + (["c"] if rng.uniform() < 0.2 else [])
        made.append(Example(x=x, best=tuple(best)))
    return made


def test_the_best_arms_are_those_with_the_highest_reward() -> None:
    x = np.ones(3)
    example = Example.of(x, rewards(a=0.5, b=1.0, c=1.0), ["a", "b", "c"])
    assert example is not None
    assert example.best == ("b", "c")


@pytest.mark.parametrize(
    ("given", "arms"),
    [({"a": 0.5}, ["a", "b"]), ({"a": 0.5, "b": 0.5}, ["a", "b"]), ({"a": 0.5}, ["a"])],
    ids=["a reward is missing", "all are equal", "one arm"],
)
def test_a_decision_that_tells_no_arm_from_another_is_no_example(
    given: dict[str, float], arms: list[str]
) -> None:
    assert Example.of(np.ones(3), rewards(**given), arms) is None


def test_an_arm_that_has_left_does_not_count() -> None:
    example = Example.of(np.ones(3), rewards(a=0.1, b=0.2, gone=1.0), ["a", "b"])
    assert example is not None
    assert example.best == ("b",)


def test_the_fit_tells_which_arm_is_best() -> None:
    weights = fit(world(600), RIDGE)
    above = preferences(weights, np.array([1.0, 2.0, 0.0]), ["a", "b", "c"])
    below = preferences(weights, np.array([1.0, -2.0, 0.0]), ["a", "b", "c"])
    assert above.argmax() == 0
    assert below.argmax() == 1
    assert above.sum() == pytest.approx(1)


def test_the_fit_is_the_optimum() -> None:
    examples = world(300)
    weights = fit(examples, RIDGE)
    x = np.array([example.x for example in examples])
    for arm, w in weights.items():
        chance = np.array([preferences(weights, e.x, sorted(weights)) for e in examples])
        share = np.array([(arm in e.best) / len(e.best) for e in examples])
        gradient = (chance[:, sorted(weights).index(arm)] - share) @ x + RIDGE * w
        assert np.abs(gradient).max() < 0.02


def test_without_examples_no_arm_is_preferred() -> None:
    assert fit([], RIDGE) == {}
    assert preferences({}, np.ones(3), ["a", "b"]).tolist() == pytest.approx([0.5, 0.5])


def test_the_fit_in_force_changes_at_fixed_counts_only() -> None:
    examples = Examples()
    sizes = []
    for number, example in enumerate(world(2 * REFIT_EVERY + 3)):
        examples.learn(f"decision {number}", example)
        sizes.append(len(examples.fitted))
    assert sizes == [REFIT_EVERY * ((number + 1) // REFIT_EVERY) for number in range(len(sizes))]


def test_a_correction_stands_in_the_place_of_what_it_corrects() -> None:
    examples = Examples()
    first, second, third = world(3)
    examples.learn("one", first)
    examples.learn("two", second)
    examples.learn("one", third)
    assert list(examples.by_decision.values()) == [third, second]
    examples.learn("one", None)
    assert list(examples.by_decision.values()) == [second]


def test_only_the_latest_examples_are_kept() -> None:
    examples = Examples()
    (example,) = world(1)
    for number in range(KEPT + 5):
        examples.learn(f"decision {number}", example)
    assert len(examples.by_decision) == KEPT
    assert next(iter(examples.by_decision)) == "decision 5"
    assert examples.count == KEPT + 5
