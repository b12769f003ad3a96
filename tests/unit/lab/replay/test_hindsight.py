"""Arms chosen with hindsight: kept, or chosen on other sources than those that value them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laserve.lab.replay.hindsight import best_of_task, best_single
from laserve.lab.replay.table import Table
from laserve.lab.statistics import FOLDS, folds
from replay_tables import make_table, two_tasks


def named(sources: int, *, each: int = 2, arms: int = 3, seed: int = 0, **changes: object) -> Table:
    """Questions of this many sources with random rewards."""
    names = tuple(f"s{index // each}" for index in range(sources * each))
    return make_table(np.random.default_rng(seed).random((len(names), arms)), sources=names, **changes)


def test_the_kept_arm_is_best_over_all_questions() -> None:
    table = named(10)
    choice = best_single(table, table.where())
    best = int(table.rewards.mean(axis=0).argmax())
    assert set(choice.arm.tolist()) == {best}
    assert choice.folds == {"": 1}
    np.testing.assert_array_equal(choice.rewards(table), table.rewards[:, best])


@given(seed=st.integers(0, 30))
def test_a_kept_choice_by_task_is_at_least_as_good_as_the_single_arm(seed: int) -> None:
    table = two_tasks(20, arms=((0.6, 0.4), (0.4, 0.5)))
    table = make_table(np.random.default_rng(seed).random((20, 3)), tasks=table.tasks, sources=table.sources)
    every = table.where()
    single = best_single(table, every).rewards(table)
    assert best_of_task(table, every).rewards(table).mean() >= single.mean()


@given(seed=st.integers(0, 30), sources=st.integers(2, 12))
def test_the_arm_of_a_source_does_not_depend_on_the_rewards_of_its_fold(seed: int, sources: int) -> None:
    table = named(sources, seed=seed)
    every, parts = table.where(), folds(table.sources)
    before = best_single(table, every, cross_fitted=True).arm
    for part in range(parts.max() + 1):
        spied = table.rewards.copy()
        spied[parts == part] = np.random.default_rng(seed + 99).random((int((parts == part).sum()), 3))
        changed = make_table(spied, sources=table.sources)
        after = best_single(changed, every, cross_fitted=True).arm
        np.testing.assert_array_equal(after[parts == part], before[parts == part])


@pytest.mark.parametrize("choose", [best_single, best_of_task])
def test_an_arm_that_is_best_in_the_held_out_fold_alone_is_not_chosen_for_it(choose: object) -> None:
    table = named(10, arms=2)
    rewards = np.tile([0.6, 0.5], (20, 1))
    held = folds(table.sources) == 3
    rewards[held] = [0.0, 1.0]
    spied = make_table(rewards, sources=table.sources)
    crossed = choose(spied, spied.where(), cross_fitted=True)  # type: ignore[operator]
    assert crossed.arm[held].tolist() == [0] * int(held.sum())
    assert crossed.rewards(spied)[held].sum() == 0.0
    kept = choose(spied, spied.where())  # type: ignore[operator]
    assert kept.rewards(spied).mean() > crossed.rewards(spied).mean()


@pytest.mark.parametrize(("sources", "parts"), [(1, 1), (2, 2), (4, 4), (5, 5), (30, FOLDS)])
def test_with_fewer_than_five_sources_one_at_a_time_is_left_out(sources: int, parts: int) -> None:
    table = named(sources)
    choice = best_single(table, table.where(), cross_fitted=True)
    assert choice.folds == {"": parts}
    by_source = {source: set() for source in table.sources}  # type: dict[str, set[int]]
    for source, arm in zip(table.sources, choice.arm.tolist(), strict=True):
        by_source[source].add(arm)
    assert all(len(arms) == 1 for arms in by_source.values())


def test_one_source_chooses_and_values_its_arm_itself_which_its_folds_say() -> None:
    table = named(1, each=6)
    every = table.where()
    crossed, kept = (best_single(table, every, cross_fitted=one) for one in (True, False))
    np.testing.assert_array_equal(crossed.arm, kept.arm)
    assert crossed.folds == {"": 1}


def test_each_task_has_folds_of_its_own_sources() -> None:
    table = named(7, each=1, tasks=("a", "b", "a", "b", "a", "b", "c"))
    choice = best_of_task(table, table.where(), cross_fitted=True)
    assert choice.folds == {"a": 3, "b": 3, "c": 1}


def test_questions_outside_the_mask_have_no_arm_and_no_part_in_the_choice() -> None:
    rewards = np.array([[0.6, 0.5]] * 5 + [[0.0, 9.0]] * 5)
    table = make_table(rewards, tasks=("a",) * 5 + ("b",) * 5)
    choice = best_of_task(table, table.where(task="a"), cross_fitted=True)
    assert choice.arm.tolist() == [0] * 5 + [-1] * 5
    assert choice.rewards(table).tolist() == [0.6] * 5 + [0.0] * 5


def test_where_arms_are_equal_a_cross_fitted_value_is_unbiased_and_a_kept_one_too_high() -> None:
    kept, crossed = [], []
    for seed in range(200):
        table = named(15, seed=seed, arms=6)
        every = table.where()
        kept.append(best_single(table, every).rewards(table).mean() - 0.5)
        crossed.append(best_single(table, every, cross_fitted=True).rewards(table).mean() - 0.5)
    assert np.mean(kept) > 0.04
    assert abs(np.mean(crossed)) < 3 * np.std(crossed) / np.sqrt(200)
