import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laserve.bandit.offpolicy import intervals
from laserve.bandit.offpolicy.intervals import ClusterBootstrap, effective_sample

WEIGHTS = st.lists(st.floats(0, 100).filter(lambda w: w == 0 or w > 1e-3), min_size=1, max_size=30).map(
    np.array
)


def noisy(rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).beta(2, 3, size=rows)


@given(weights=WEIGHTS.filter(any))
def test_the_effective_sample_is_between_one_and_the_number_of_weights(weights: np.ndarray) -> None:
    assert 1 - 1e-9 <= effective_sample(weights) <= len(weights) + 1e-9
    assert effective_sample(3 * weights) == pytest.approx(effective_sample(weights))


@pytest.mark.parametrize(
    ("weights", "sample"), [([2.0] * 7, 7), ([1.0, 0.0, 0.0], 1), ([3.0, 1.0], 1.6), ([0.0, 0.0], 0)]
)
def test_the_effective_sample_counts_equal_weights_fully(weights: list[float], sample: float) -> None:
    assert effective_sample(np.array(weights)) == pytest.approx(sample)


def test_with_many_clusters_of_one_row_it_is_the_interval_of_a_mean() -> None:
    values = noisy(2000)
    low, high = ClusterBootstrap(np.arange(2000), resamples=4000).interval(values, np.ones(2000))
    error = 1.96 * values.std(ddof=1) / np.sqrt(2000)
    assert (low, high) == pytest.approx((values.mean() - error, values.mean() + error), abs=0.05 * error)


def test_rows_that_repeat_each_other_in_a_cluster_do_not_narrow_it() -> None:
    once, labels = noisy(200), np.arange(200)
    honest = ClusterBootstrap(np.repeat(labels, 9)).interval(np.repeat(once, 9), np.ones(1800))
    naive = ClusterBootstrap(np.arange(1800)).interval(np.repeat(once, 9), np.ones(1800))
    assert honest == pytest.approx(ClusterBootstrap(labels).interval(once, np.ones(200)))
    assert honest[1] - honest[0] > 2.5 * (naive[1] - naive[0])


@given(factor=st.floats(0.01, 100), seed=st.integers(0, 30))
def test_only_the_ratio_of_numerator_and_denominator_matters(factor: float, seed: int) -> None:
    weights, labels = noisy(120, seed), np.arange(120) // 3
    bootstrap = ClusterBootstrap(labels, resamples=200)
    values = weights * noisy(120, seed + 1)
    assert bootstrap.interval(factor * values, factor * weights) == pytest.approx(
        bootstrap.interval(values, weights)
    )


@given(seed=st.integers(0, 30))
def test_the_order_of_the_rows_does_not_matter(seed: int) -> None:
    values, labels = noisy(120, seed), np.arange(120) // 3
    order = np.random.default_rng(seed).permutation(120)
    mixed = ClusterBootstrap(labels[order], resamples=200).interval(values[order], np.ones(120))
    assert mixed == pytest.approx(ClusterBootstrap(labels, resamples=200).interval(values, np.ones(120)))


@given(seed=st.integers(0, 30), clusters=st.integers(1, 12))
def test_it_holds_the_ratio_and_stays_within_the_range_of_rewards(seed: int, clusters: int) -> None:
    values, labels = noisy(60, seed), np.arange(60) % clusters
    low, high = ClusterBootstrap(labels, resamples=200).interval(values, np.ones(60))
    assert 0 <= low <= values.mean() <= high <= 1


@pytest.mark.parametrize("clusters", [1, 2, 3])
def test_a_handful_of_clusters_bounds_nothing(clusters: int) -> None:
    values = noisy(300)
    assert ClusterBootstrap(np.arange(300) % clusters).interval(values, np.ones(300)) == (0.0, 1.0)


def test_resamples_made_in_batches_are_the_same_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    values, labels = noisy(200), np.arange(200) // 2
    whole = ClusterBootstrap(labels).interval(values, np.ones(200))
    monkeypatch.setattr(intervals, "_AT_ONCE", 777)
    assert ClusterBootstrap(labels).interval(values, np.ones(200)) == pytest.approx(whole)
