from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import make_teaching
from laserve.bandit.state.scaling import ENOUGH, RewardCounts, Scale
from laserve.types import Update

REWARDS = st.floats(0, 1)
#: As the counts hold them.
HUNDREDTHS = st.integers(0, 100).map(lambda number: number / 100)


def counted(rewards: list[float]) -> RewardCounts:
    counts = RewardCounts()
    for reward in rewards:
        counts.follow(make_teaching(1, [1.0], [Update(arm="loglik", reward=reward)]))
    return counts


def scales() -> st.SearchStrategy[Scale]:
    ends = st.tuples(HUNDREDTHS, HUNDREDTHS).filter(lambda ends: ends[0] < ends[1])
    return ends.map(lambda ends: Scale(*ends))


@given(rewards=st.lists(HUNDREDTHS, min_size=ENOUGH, max_size=80))
def test_the_quantiles_are_rewards_that_a_fifth_and_four_fifths_do_not_exceed(rewards: list[float]) -> None:
    low, high = (sorted(rewards)[ceil(fifths * len(rewards) / 5) - 1] for fifths in (1, 4))
    assert counted(rewards).scale == (Scale(low, high) if low < high else None)


@given(reward=REWARDS, number=st.integers(0, 200))
def test_equal_rewards_are_never_scaled(reward: float, number: int) -> None:
    assert counted([reward] * number).scale is None


@pytest.mark.parametrize("share", [0.1, 0.9], ids=["mostly down", "mostly up"])
def test_thumbs_of_which_nearly_all_are_the_same_stay_what_they_are(share: float) -> None:
    assert counted([1.0] * int(100 * share) + [0.0] * int(100 * (1 - share))).scale is None


def test_nothing_is_scaled_by_the_quantiles_of_a_few() -> None:
    rewards = [0.2, 0.6] * (ENOUGH // 2)
    assert counted(rewards[:-1]).scale is None
    assert counted(rewards).scale == Scale(0.2, 0.6)


@pytest.mark.parametrize(
    ("reward", "scaled"), [(0.0, 0.0), (0.25, 0.0), (0.375, 0.25), (0.5, 0.5), (0.75, 1.0), (1.0, 1.0)]
)
def test_a_reward_is_scaled_to_its_place_between_the_quantiles(reward: float, scaled: float) -> None:
    assert Scale(0.25, 0.75).of(reward) == scaled


@given(scale=scales(), rewards=st.tuples(REWARDS, REWARDS).map(sorted))
def test_scaling_stays_in_0_to_1_and_turns_no_order_round(scale: Scale, rewards: list[float]) -> None:
    less, more = map(scale.of, rewards)
    assert 0.0 <= less <= more <= 1.0


@given(scale=scales(), reward=REWARDS, weight=REWARDS)
def test_a_scaled_update_tells_what_was_earned(scale: Scale, reward: float, weight: float) -> None:
    (update,) = scale.scaled([Update(arm="loglik", reward=reward, weight=weight)])
    assert (update.arm, update.reward, update.weight) == ("loglik", scale.of(reward), weight)
    assert update.earned == reward


@given(rewards=st.lists(REWARDS, max_size=40), scale=scales(), wrong=REWARDS, right=REWARDS)
def test_a_correction_leaves_the_counts_of_a_log_without_the_mistake(
    rewards: list[float], scale: Scale, wrong: float, right: float
) -> None:
    first = scale.scaled([Update(arm="loglik", reward=wrong)])
    second = scale.scaled([Update(arm="loglik", reward=right)])
    counts = counted(rewards)
    counts.follow(make_teaching(1, [1.0], first))
    counts.follow(make_teaching(2, [1.0], second, replaces=first))
    assert counts == counted([*rewards, right])
    assert counts.seen == len(rewards) + 1


@given(rewards=st.lists(REWARDS, max_size=40))
def test_the_order_of_the_rewards_does_not_matter(rewards: list[float]) -> None:
    assert counted(rewards) == counted(rewards[::-1])
