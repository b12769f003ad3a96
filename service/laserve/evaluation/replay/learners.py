"""Learners by the names and settings that the service knows them by."""

from collections.abc import Sequence

import numpy as np

from laserve.app import make_policies as service_policies
from laserve.bandit.base import Policy
from laserve.bandit.combining import Ensemble
from laserve.config import PolicySettings
from laserve.errors import ConfigError, InvalidRequest
from laserve.evaluation.replay.learning import Learner
from laserve.evaluation.replay.table import Table
from laserve.selection.context import BIAS, prior_diagonal, prior_mean

#: Follows the name of a learner that sees nothing of the request.
BLIND = "-bias-only"
#: Policies that learn nothing, which every report has anyway.
_BASELINES = ("random", "fixed", "round-robin")
#: Policies that learn from what a replay does not show them.
_UNSEEN = ("classifier",)


def make_learners(names: Sequence[str], settings: PolicySettings, table: Table) -> list[Learner]:
    """A learner for each name, and one more of the first that sees the bias alone.

    Raises:
        ConfigError: there is no such policy, it does not learn, or the contexts have no bias.
    """
    if BIAS not in table.features:
        raise ConfigError(f"--pool: its contexts have no feature {BIAS!r}")
    policies = make_policies(names, settings)
    ridge = prior_diagonal(
        table.features, structure=settings.prior_structure, embedding=settings.prior_embedding
    )
    mean = prior_mean(table.features, settings.prior_reward)
    every, bias = np.arange(len(table.features)), np.array([table.features.index(BIAS)])
    return [
        Learner(
            name=name + suffix,
            policy=policies[name],
            features=places,
            ridge=ridge[places],
            mean=mean[places],
        )
        for name, suffix, places in [*((name, "", every) for name in names), (names[0], BLIND, bias)]
    ]


def make_policies(names: Sequence[str], settings: PolicySettings) -> dict[str, Policy]:
    """The policies of these names.

    Raises:
        ConfigError: there is none of a name, or it does not learn.
    """
    known = service_policies(settings, lambda: ())
    found: dict[str, Policy] = {}
    for name in names:
        if name.partition(":")[0] in _BASELINES:
            raise ConfigError(f"--policy: {name!r} learns nothing; every report has it")
        try:
            policy = known.get(name)
        except InvalidRequest as error:
            raise ConfigError(f"--policy: {error.message.removeprefix('policy: ')}") from error
        if isinstance(policy, Ensemble) or name in _UNSEEN:
            raise ConfigError(f"--policy: {name!r} is not replayed; every report has the ensembles")
        found[name] = policy
    return found
