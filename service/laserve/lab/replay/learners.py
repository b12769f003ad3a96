"""Learners made from the service's policy names and settings."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from laserve.bandit.policies.base import Policy
from laserve.bandit.policies.ensembles import Ensemble
from laserve.config import PolicySettings, read_prior
from laserve.context.features import BIAS, prior_diagonal, prior_mean
from laserve.errors import ConfigError, InvalidRequest
from laserve.lab.replay.learning import Learner
from laserve.lab.replay.table import Table
from laserve.serve.wiring import make_policies

#: Suffixes of the name: for a learner that sees the bias alone, and for one that starts from `policy.prior`.
BLIND, PRIOR = "-bias-only", ":prior"
#: Suffix for a learner that has `blend` as an additional arm.
BLENDING = "+blend"
#: Policies that learn nothing.
_BASELINES = ("random", "round-robin", "fixed")


def make_learners(names: Sequence[str], settings: PolicySettings, table: Table) -> list[Learner]:
    """A learner for each name; for the first name also one that sees the bias alone and, if the settings
    name a prior, one that starts from it.

    Raises:
        ConfigError: `policies_of` raised it, the contexts have no bias, or the prior cannot be read.
    """
    if table.features[0] != BIAS:
        raise ConfigError.at("--pool", f"the first feature of its contexts is not {BIAS!r}")
    policies = policies_of(names, settings)
    ridge = prior_diagonal(
        table.features, structure=settings.prior_structure, embedding=settings.prior_embedding
    )
    mean = prior_mean(table.features, settings.prior_reward)
    every, bias = np.arange(len(table.features)), np.arange(1)
    made = [
        Learner(
            name=name + suffix,
            policy=policies[name],
            features=indices,
            ridge=ridge[indices],
            mean=mean[indices],
            discount=settings.discount,
        )
        for name, suffix, indices in [*((name, "", every) for name in names), (names[0], BLIND, bias)]
    ]
    if settings.prior is not None:
        made.append(replace(made[0], name=names[0] + PRIOR, expected=read_prior(settings.prior)))
    return made


def policies_of(names: Sequence[str], settings: PolicySettings) -> dict[str, Policy]:
    """The policies of these names, at least one.

    Raises:
        ConfigError: a name is unknown, a policy does not learn, or a reward scaling is set.
    """
    if settings.reward_scaling != "none":
        raise ConfigError.at("policy.reward_scaling", "a replay learns rewards as they are; set it to none")
    known = make_policies(settings.model_copy(update={"name": "linucb"}), tuple)
    policies = {}
    for name in names:
        try:
            policy = None if name.partition(":")[0] in _BASELINES else known.get(name, param="--policy")
        except InvalidRequest as error:
            raise ConfigError(error.message, param=error.param) from error
        if policy is None or isinstance(policy, Ensemble):
            raise ConfigError.at("--policy", f"{name!r} learns nothing")
        policies[name] = policy
    return policies
