"""Coverage of the nominal 95% intervals: `laserve bench coverage` on few logs."""

from functools import cache

import numpy as np
import pytest

from laserve.bandit.offpolicy.estimators import ESTIMATORS, ClusterBootstrap, Estimate, evaluate
from laserve.lab.bench.coverage.world import RANDOM, Logging, World

LOGS = 120
DECISIONS: dict[Logging, int] = {"uniform": 400, "frozen": 1300, "learning": 1300}


@cache
def outcomes(kind: Logging) -> dict[str, np.ndarray]:
    """Estimator -> rows of low, value and high, each less the truth, of the logs that allow an estimate."""
    world = World(np.random.default_rng(8))
    truth = world.value(RANDOM)
    deviations: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ESTIMATORS}
    for log, target in world.logs(kind, LOGS, DECISIONS[kind], RANDOM):
        bootstrap = ClusterBootstrap(log.clusters, resamples=500)
        for name, estimator in ESTIMATORS.items():
            outcome = evaluate(log, target, estimator, bootstrap=bootstrap)
            if isinstance(outcome, Estimate):
                deviations[name].append((outcome.low - truth, outcome.value - truth, outcome.high - truth))
    return {name: np.array(rows) for name, rows in deviations.items()}


@pytest.mark.parametrize("kind", DECISIONS)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_truth_is_in_as_many_intervals_as_they_promise(estimator: str, kind: Logging) -> None:
    low, value, high = outcomes(kind)[estimator].T
    assert len(value) > 0.9 * LOGS
    # Four standard deviations of a binomial share. No share is that far above 95%: there the width must hold.
    assert np.mean((low <= 0) & (high >= 0)) > 0.95 - 4 * np.sqrt(0.95 * 0.05 / len(value))
    assert 0.75 < np.mean(high - low) / (2 * 1.96 * value.std()) < 1.3


@pytest.mark.parametrize("kind", DECISIONS)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_estimates_are_right_on_average(estimator: str, kind: Logging) -> None:
    error = outcomes(kind)[estimator][:, 1]
    assert abs(error.mean()) < 4 * error.std() / np.sqrt(len(error))
