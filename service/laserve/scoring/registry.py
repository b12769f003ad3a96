"""Scorer kinds by name. Modules are imported when their kind is first used."""

import importlib
import inspect
from collections.abc import Mapping
from typing import Any, cast

from laserve.errors import ConfigError
from laserve.scoring.base import RewardModel

KINDS = {
    "loglik": "laserve.scoring.loglik:LogLikelihood",
    "consensus": "laserve.scoring.consensus:Consensus",
    "relevance": "laserve.scoring.relevance:Relevance",
    "fake": "laserve.scoring.fake:FakeRewardModel",
}


def create(kind: str, options: Mapping[str, Any], shared: Mapping[str, Any]) -> RewardModel:
    """Make a scorer.

    Args:
        kind: a name in `KINDS`.
        options: what the settings say, by the names of the kind's own arguments.
        shared: parts of the service that a kind may ask for by name, such as ``encoder``.

    Raises:
        ConfigError: the kind or an option is unknown, or an option's value is refused.
    """
    if kind not in KINDS:
        raise ConfigError(f"kind: no scorer kind {kind!r}; there are: {', '.join(KINDS)}")
    module, _, name = KINDS[kind].partition(":")
    build = getattr(importlib.import_module(module), name)
    parameters = inspect.signature(build).parameters
    allowed = [name for name in parameters if name not in shared]
    for option in options:
        if option not in allowed:
            raise ConfigError(
                f"options.{option}: kind {kind!r} has no such option; it has: {', '.join(allowed) or 'none'}"
            )
    parts = {name: part for name, part in shared.items() if name in parameters}
    try:
        return cast(RewardModel, build(**parts, **options))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"options: {error}") from error
