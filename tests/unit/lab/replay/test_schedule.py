"""Orders and draws are random, repeatable, and the same for every policy."""

import numpy as np

from laserve.lab.replay.schedule import Schedule

IDS = [f"q{index}" for index in range(600)]


def test_every_order_asks_every_question_once() -> None:
    schedule = Schedule.make(IDS, orders=5, shadow_share=0.25, seed=0)
    assert (np.sort(schedule.orders, axis=1) == np.arange(600)).all()
    assert len({tuple(order) for order in schedule.orders}) == 5


def test_a_schedule_can_be_made_again() -> None:
    first, second = (Schedule.make(IDS, orders=2, shadow_share=0.25, seed=7) for _ in range(2))
    other = Schedule.make(IDS, orders=2, shadow_share=0.25, seed=8)
    assert (first.orders == second.orders).all()
    assert (first.draws == second.draws).all()
    assert (first.shadowed == second.shadowed).all()
    assert (first.orders != other.orders).any()


def test_the_share_of_shadowed_questions_is_what_was_asked_for() -> None:
    shadowed = Schedule.make(IDS, orders=10, shadow_share=0.25, seed=0).shadowed
    assert abs(shadowed.mean() - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 6000)
    assert not Schedule.make(IDS, orders=1, shadow_share=0.0, seed=0).shadowed.any()
    assert Schedule.make(IDS, orders=1, shadow_share=1.0, seed=0).shadowed.all()


def test_draws_are_uniform_and_differ_between_orders() -> None:
    draws = Schedule.make(IDS, orders=10, shadow_share=0.25, seed=0).draws
    counts = np.histogram(draws, bins=10, range=(0, 1))[0]
    assert ((counts - 600) ** 2 / 600).sum() < 27.9  # chi-squared, 9 degrees of freedom, 0.1%
    assert (draws[0] != draws[1]).all()


def test_the_last_third_is_the_last_third() -> None:
    schedule = Schedule.make(IDS[:10], orders=1, shadow_share=0.25, seed=0)
    assert np.flatnonzero(schedule.late).tolist() == [7, 8, 9]
    assert Schedule.make(IDS[:1], orders=1, shadow_share=0.25, seed=0).late.tolist() == [True]
