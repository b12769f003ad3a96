"""Learners by the names and settings that the service knows them by."""

from collections.abc import Sequence

import numpy as np

from laserve.app import make_policies
from laserve.bandit.combining import Ensemble
from laserve.config import PolicySettings
from laserve.errors import ConfigError, InvalidRequest
from laserve.evaluation.replay.learning import Learner
from laserve.evaluation.replay.table import Table
from laserve.selection.context import BIAS, prior_diagonal, prior_mean

#: Follows the name of a learner that sees nothing of the request.
BLIND = "-bias-only"
#: Policies that learn nothing, which every report has anyway.
_BASELINES = ("random", "fixed")


def make_learners(names: Sequence[str], settings: PolicySettings, table: Table) -> list[Learner]:
    """A learner for each name, and one more of the first that sees the bias alone.

    Raises:
        ConfigError: there is no such policy, it does not learn, or the contexts have no bias.
    """
    if BIAS not in table.features:
        raise ConfigError(f"--pool: its contexts have no feature {BIAS!r}")
    policies = make_policies(settings, lambda: table.arms)
    ridge = prior_diagonal(
        table.features, structure=settings.prior_structure, embedding=settings.prior_embedding
    )
    mean = prior_mean(table.features, settings.prior_reward)
    every, bias = np.arange(len(table.features)), np.array([table.features.index(BIAS)])
    learners = []
    for name, suffix, places in [*((name, "", every) for name in names), (names[0], BLIND, bias)]:
        if name.partition(":")[0] in _BASELINES:
            raise ConfigError(f"--policy: {name!r} learns nothing; every report has it")
        try:
            policy = policies.get(name)
        except InvalidRequest as error:
            raise ConfigError(f"--policy: {error.message.removeprefix('policy: ')}") from error
        if isinstance(policy, Ensemble):
            raise ConfigError(f"--policy: {name!r} learns nothing; every report has it")
        learners.append(
            Learner(
                name=name + suffix, policy=policy, features=places, ridge=ridge[places], mean=mean[places]
            )
        )
    return learners
