"""Means over rows, with intervals over the sources of the rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laserve.bandit.offpolicy.intervals import ClusterBootstrap
from laserve.lab.statistics import (
    FOLDS,
    RESAMPLES,
    SHARE,
    Interval,
    Sources,
    around,
    folds,
    mean,
    ratio,
    resampled_weights,
)

SEEDS = st.integers(0, 40)


def rows(seed: int, *, count: int = 60, sources: int = 12) -> tuple[np.ndarray, list[str]]:
    """Values of rows whose sources differ in size and in their means, and the sources."""
    rng = np.random.default_rng(seed)
    number = np.append(np.arange(sources), rng.integers(sources, size=count - sources) // 2)
    return rng.normal(size=sources)[number] + rng.normal(size=count), [f"s{one}" for one in number]


def ends(one: Interval) -> tuple[float, float]:
    assert one.low is not None
    assert one.high is not None
    return one.low, one.high


# what an interval does


@given(seed=SEEDS, shift=st.floats(-10, 10), scale=st.floats(0.01, 100))
def test_an_interval_moves_and_stretches_with_the_values(seed: int, shift: float, scale: float) -> None:
    values, sources = rows(seed)
    low, high = ends(mean(values, sources))
    moved = ends(mean(scale * values + shift, sources))
    assert moved == pytest.approx((scale * low + shift, scale * high + shift), rel=1e-6, abs=1e-6)


@given(seed=SEEDS)
def test_the_interval_of_the_negative_values_is_the_mirror_image(seed: int) -> None:
    values, sources = rows(seed)
    low, high = ends(mean(values, sources))
    assert ends(mean(-values, sources)) == pytest.approx((-high, -low))


@given(seed=SEEDS, count=st.integers(4, 12))
def test_an_interval_holds_the_value_and_counts_its_sources(seed: int, count: int) -> None:
    values, sources = rows(seed, sources=count)
    result = mean(values, sources)
    low, high = ends(result)
    assert low < result.value < high
    assert result.value == pytest.approx(values.mean())
    assert result.sources == count


@given(seed=SEEDS)
def test_neither_the_order_of_the_rows_nor_the_names_of_the_sources_matter(seed: int) -> None:
    values, sources = rows(seed)
    whole = mean(values, sources)
    order = np.random.default_rng(seed).permutation(len(values))
    names = dict(
        zip(dict.fromkeys(sources), np.random.default_rng(seed).permutation(99).tolist(), strict=False)
    )
    mixed = mean(values[order], [str(names[sources[index]]) for index in order])
    assert ends(mixed) == pytest.approx(ends(whole))


@given(seed=SEEDS)
def test_it_is_the_interval_of_off_policy_evaluation(seed: int) -> None:
    values, sources = rows(seed)
    bounds = ClusterBootstrap(np.array(sources), resamples=RESAMPLES).intervals(values[None], np.ones(60))
    assert ends(mean(values, sources)) == pytest.approx((bounds[0][0], bounds[1][0]))


@given(seed=SEEDS)
def test_many_values_at_once_have_the_intervals_that_each_has_alone(seed: int) -> None:
    values, sources = rows(seed)
    several = np.array([values, values**2, 3 - values])
    together = Sources(sources).means(several)
    for one, alone in zip(together, several, strict=True):
        assert ends(one) == pytest.approx(ends(mean(alone, sources)))


def test_a_share_stays_within_its_range_and_a_difference_does_not() -> None:
    values, sources = np.array([1.0] * 6 + [0.0] * 4), [str(one) for one in range(10)]
    assert ends(mean(values, sources, within=SHARE))[1] == 1.0
    assert ends(mean(values, sources))[1] > 1.0
    assert ends(mean(values - 1, sources))[1] > 0.0


def test_rows_of_one_source_do_not_narrow_an_interval() -> None:
    values, sources = rows(3, sources=60)
    many = mean(np.repeat(values, 5), [source for source in sources for _ in range(5)])
    assert ends(many) == pytest.approx(ends(mean(values, sources)))


def test_a_ratio_weighs_each_row_by_its_whole() -> None:
    result = ratio(np.array([1.0, 0.0]), np.array([3.0, 1.0]), ["a", "b"])
    assert result.value == 0.25


def test_weighted_means_are_ratios_of_weighted_sums() -> None:
    values, sources = rows(5)
    weights = np.random.default_rng(1).random(60)
    (weighted,) = Sources(sources).means(values[None], weights=weights)
    assert weighted == ratio(values * weights, weights, sources)


def test_rows_without_a_whole_do_not_count_and_neither_do_their_sources() -> None:
    values, sources = rows(2)
    more = ratio(np.append(values, [0.0, 0.0]), np.append(np.ones(60), [0.0, 0.0]), [*sources, "x", "y"])
    assert more == mean(values, sources)


# few sources


def test_one_source_gives_no_interval() -> None:
    assert mean(np.array([0.2, 0.4]), ["a", "a"], within=SHARE) == Interval(
        value=pytest.approx(0.3), low=None, high=None, sources=1
    )


@pytest.mark.parametrize("count", [2, 3])
def test_two_or_three_sources_bound_a_share_by_its_range_alone_and_a_difference_by_nothing(
    count: int,
) -> None:
    values, sources = np.linspace(0.1, 0.5, 12), [str(index % count) for index in range(12)]
    assert ends(mean(values, sources, within=SHARE)) == SHARE
    result = mean(values, sources)
    assert (result.low, result.high, result.sources) == (None, None, count)


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_two_or_three_sources_bound_a_share_by_its_range_also_where_they_agree(
    count: int, value: float
) -> None:
    sources = [str(index % count) for index in range(12)]
    assert ends(mean(np.full(12, value), sources, within=SHARE)) == SHARE


@pytest.mark.parametrize(("count", "bound"), [(4, 0.398), (8, 0.631), (40, 0.912), (1000, 0.9963)])
def test_a_share_of_all_or_of_none_has_the_binomial_bound(count: int, bound: float) -> None:
    sources = [str(index) for index in range(count)]
    assert ends(mean(np.ones(count), sources, within=SHARE)) == pytest.approx((bound, 1.0), abs=5e-4)
    assert ends(mean(np.zeros(count), sources, within=SHARE)) == pytest.approx((0.0, 1 - bound), abs=5e-4)


def test_a_share_that_one_source_of_forty_misses_has_the_binomial_bounds() -> None:
    values, sources = np.array([1.0] * 39 + [0.0]), [str(index) for index in range(40)]
    assert ends(mean(values, sources, within=SHARE)) == pytest.approx((0.868, 0.999), abs=1e-3)


def test_a_source_with_nearly_all_the_weight_leaves_a_share_unbounded() -> None:
    weights = np.array([1e6, *[1.0] * 9])
    (result,) = Sources(list(range(10))).means(np.ones((1, 10)), within=SHARE, weights=weights)
    assert ends(result) == pytest.approx((0.025, 1.0), abs=1e-3)


def test_what_is_not_a_number_has_no_interval() -> None:
    result = mean(np.array([0.5, np.nan, 1.0, 0.0, 1.0]), list("abcde"), within=SHARE)
    assert np.isnan(result.value)
    assert (result.low, result.high) == (None, None)


def test_values_that_never_vary_have_an_interval_of_width_0() -> None:
    assert ends(mean(np.full(12, 0.3), [str(index % 3) for index in range(12)])) == pytest.approx((0.3, 0.3))


def test_without_any_whole_the_ratio_is_0_and_has_no_interval() -> None:
    assert ratio(np.zeros(2), np.zeros(2), ["a", "b"]) == Interval(value=0.0, low=None, high=None, sources=0)


def test_a_difference_that_one_source_of_ten_makes_has_no_bound() -> None:
    result = mean(np.array([0.0] * 9 + [1.0]), [str(one) for one in range(10)])
    assert (result.value, result.low, result.high) == (pytest.approx(0.1), None, None)
    assert result.sources == 10


# coverage


@pytest.mark.parametrize("chance", [0.02, 0.9, 0.99])
@pytest.mark.parametrize("sources", [4, 12, 40])
def test_intervals_of_shares_near_0_or_1_hold_the_truth_as_often_as_they_say(
    sources: int, chance: float
) -> None:
    rng = np.random.default_rng(sources)
    held = []
    for _ in range(200):
        size = rng.integers(1, 6, size=sources)
        right = np.repeat(rng.random(sources) < chance, size)
        names = np.repeat(np.arange(sources), size).astype(str).tolist()
        low, high = ends(mean(right * 1.0, names, within=SHARE))
        held.append(low <= chance <= high)
    assert np.mean(held) >= 0.92


@pytest.mark.parametrize(("sources", "least"), [(5, 0.88), (15, 0.9), (40, 0.92)])
def test_intervals_of_clustered_shares_hold_the_truth_as_often_as_they_say(
    sources: int, least: float
) -> None:
    rng = np.random.default_rng(sources)
    held = []
    for _ in range(200):
        size = rng.integers(2, 20, size=sources)
        chance = np.repeat(rng.beta(2, 2, size=sources), size)
        names = np.repeat(np.arange(sources), size).astype(str).tolist()
        low, high = ends(mean((rng.random(len(chance)) < chance) * 1.0, names, within=SHARE))
        held.append(low <= 0.5 <= high)
    assert least <= np.mean(held) <= 0.99


def test_around_a_statistic_lie_t_deviations_of_its_resamples() -> None:
    rng = np.random.default_rng(0)
    resampled = rng.normal(size=(5000, 2)) * [1.0, 2.0]
    low, high = around(np.array([7.0, 0.0]), resampled, 11)
    half = 2.228 * np.sqrt(11 / 10)  # t with 10 degrees of freedom
    assert low == pytest.approx([7 - half, -2 * half], rel=0.05)
    assert high == pytest.approx([7 + half, 2 * half], rel=0.05)


# resamples and folds


def test_the_weight_of_a_row_in_a_resample_is_that_of_its_source() -> None:
    result = np.stack(list(resampled_weights(np.array([3, 3, 8]), 200)))
    assert result.shape == (200, 3)
    np.testing.assert_array_equal(result[:, 0], result[:, 1])
    np.testing.assert_array_equal(result[:, 1] + result[:, 2], 2.0)


@given(names=st.lists(st.text(max_size=3), min_size=1, max_size=40))
def test_folds_deal_whole_sources_evenly_whatever_the_order_of_the_rows(names: list[str]) -> None:
    result = folds(names)
    by_source = {
        name: {int(part) for other, part in zip(names, result, strict=True) if other == name}
        for name in names
    }
    assert all(len(parts) == 1 for parts in by_source.values())
    sizes = np.bincount([parts.pop() for parts in by_source.values()])
    assert len(sizes) == min(FOLDS, len(sizes), len(set(names)))
    assert np.ptp(sizes) <= 1
    assert folds(names[::-1]).tolist() == result.tolist()[::-1]
