"""Simulated requests with rated answers."""

import numpy as np
import pytest

from laserve.lab.bench.traffic.worlds import FEATURES, TASKS, World, make_world


def world(*, spread: float = 0.3, seed: int = 0) -> World:
    return make_world(np.random.default_rng(seed), arms=4, requests=4000, spread=spread)


def test_arrays_have_the_shapes_of_requests_features_and_arms() -> None:
    made = world()
    assert made.x.shape == (4000, len(FEATURES))
    assert made.task.shape == (4000,)
    assert made.chance.shape == made.thumb.shape == (4000, 4)
    assert made.value.shape == (len(TASKS), 4)


def test_the_context_names_the_task_and_has_a_unit_embedding() -> None:
    made = world()
    tasks = made.x[:, [FEATURES.index(f"task:{task}") for task in TASKS]]
    assert (tasks.argmax(axis=1) == made.task).all()
    assert (tasks.sum(axis=1) == 1).all()
    embedding = made.x[:, [name.startswith("embedding:") for name in FEATURES]]
    assert np.linalg.norm(embedding, axis=1) == pytest.approx(1)


def test_thumbs_come_with_the_chance_of_the_returned_answer() -> None:
    made = world()
    assert set(np.unique(made.thumb)) == {0, 1}
    assert made.thumb.mean() == pytest.approx(made.chance.mean(), abs=0.02)


def test_arms_that_return_the_same_answer_get_the_same_thumb() -> None:
    made = world()
    same = made.chance[:, 0] == made.chance[:, 1]
    assert 0 < same.mean() < 1
    assert (made.thumb[same, 0] == made.thumb[same, 1]).all()


def test_the_gap_grows_with_the_spread_of_the_arms() -> None:
    gaps = [
        np.mean([world(spread=spread, seed=seed).gap for seed in range(5)]) for spread in (0.05, 0.2, 0.4)
    ]
    assert 0 <= gaps[0] < gaps[1] < gaps[2]
