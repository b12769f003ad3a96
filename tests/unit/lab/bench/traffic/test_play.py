"""The default policy in simulated worlds."""

from dataclasses import replace

import numpy as np
import pytest

from laserve.config import PolicySettings
from laserve.lab.bench.traffic.play import BLOCK, FEEDBACK, Gains, play
from laserve.lab.bench.traffic.worlds import make_world
from laserve.lab.replay.learning import FULL, PARTIAL

WORLDS = [
    make_world(np.random.default_rng([7, seed]), arms=3, requests=4 * BLOCK, spread=0.4) for seed in range(3)
]


def gains(*means: float) -> Gains:
    return Gains(blocks=np.array([means]))


@pytest.mark.parametrize(
    ("means", "passes", "even"),
    [
        ((-1, -1, -1), None, None),
        ((1, 1, 1), 0, 0),
        ((-1, 2, 2), BLOCK, BLOCK),
        ((-1, 0.4, 0.4), BLOCK, None),
        ((1, -1, 1), 2 * BLOCK, 2 * BLOCK),
        ((1, 1, 0), None, 0),
    ],
)
def test_a_policy_passes_from_the_block_on_from_which_it_stays_above(
    means: tuple[float, ...], passes: int | None, even: int | None
) -> None:
    made = gains(*means)
    assert (made.passes, made.even) == (passes, even)
    assert made.passes_by_world == [passes]


def test_there_is_a_mean_for_each_block_of_each_world() -> None:
    steps: list[None] = []
    played = play(WORLDS, PARTIAL, PolicySettings(), lambda: steps.append(None))
    assert played.blocks.shape == (3, 4)
    assert len(steps) == 4 * BLOCK


def test_a_policy_that_always_draws_the_best_single_arm_gains_nothing() -> None:
    (world,) = WORLDS[:1]
    best = world.value.mean(axis=0).argmax()
    settings = PolicySettings(epsilon=0, epsilon_start=0, alpha=0)
    alone = replace(world, chance=world.chance[:, [best]], thumb=world.thumb[:, [best]])
    assert play([alone], PARTIAL, settings, lambda: None).blocks == pytest.approx(0)


def test_a_policy_that_learns_from_all_arms_is_ahead_of_one_that_learns_from_its_own_alone() -> None:
    alone, all_arms = (play(WORLDS, mode, PolicySettings(), lambda: None) for mode in (PARTIAL, FULL))
    assert all_arms.blocks.mean() > alone.blocks.mean()
    assert {PARTIAL, FULL} == set(FEEDBACK.values())


def test_a_block_is_compared_with_the_best_single_arm_of_its_world() -> None:
    played = play(WORLDS, FULL, PolicySettings(), lambda: None)
    for world, row in zip(WORLDS, played.blocks, strict=True):
        assert row.max() <= world.gap + 0.02
