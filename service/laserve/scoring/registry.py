"""The kinds of reward models by name; a kind's module is imported on its first use."""

import importlib
import inspect
from collections.abc import Callable, Mapping
from inspect import Parameter
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from laserve.errors import ConfigError
from laserve.scoring import python
from laserve.scoring.base import RewardModel
from laserve.scoring.plain import as_reward_model

KINDS = {
    "loglik": "laserve.scoring.loglik:LogLikelihood",
    "consensus": "laserve.scoring.consensus:Consensus",
    "relevance": "laserve.scoring.relevance:Relevance",
    "transformers": "laserve.scoring.inprocess.reward_model:TransformersModel",
    "remote": "laserve.scoring.http.reward_model:RemoteModel",
    "implicit": "laserve.scoring.inprocess.implicit:ImplicitReward",
    "attributes": "laserve.scoring.inprocess.attributes:AttributesModel",
    "judge": "laserve.scoring.http.judge:Judge",
    "python": "laserve.scoring.python:find",
    "blend": "laserve.scoring.blend:Blend",
    "vllm": "laserve.scoring.pooling.model:VllmRewardModel",
    "fake": "laserve.scoring.fake:FakeRewardModel",
}

#: Kinds that combine the scores of other arms.
COMBINING = frozenset({"blend"})

#: Types of options whose values are checked before the kind reads them, and what to write for them.
_SCALARS = {str: "a text, in quotes", int: "a whole number", float: "a number", bool: "true or false"}

_JSON = (*_SCALARS, list, dict, NoneType)

#: Kinds of parameters that take any number of arguments, and so name no option.
_VARIADIC = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


def create(kind: str, options: Mapping[str, Any], shared: Mapping[str, Any]) -> RewardModel:
    """Make a reward model.

    Args:
        kind: a name in `KINDS`.
        options: the options of the arm, by the names of the kind's arguments; for ``python`` by those of
            the plugin's arguments, and ``name``.
        shared: parts of the service that a kind may take as an argument, such as ``encoder``.

    Raises:
        ConfigError: the kind or an option is unknown, or an option's value is refused.
    """
    build = builder(kind, options)
    if kind == "python":
        name = options.get("name")
        model = _build(build, kind, {k: v for k, v in options.items() if k != "name"}, shared)
        python.check(name, model)
        return as_reward_model(model)
    return as_reward_model(_build(build, kind, options, shared))


def builder(kind: str, options: Mapping[str, Any]) -> Callable[..., Any]:
    """The class or function that makes the models of a kind. Raises ConfigError if the kind is unknown."""
    if kind == "python":  # made by other packages
        return python.find(options.get("name"))
    if kind not in KINDS:
        raise ConfigError.at("kind", f"unknown kind {kind!r}; there are: {', '.join(KINDS)}")
    module, _, name = KINDS[kind].partition(":")
    return getattr(importlib.import_module(module), name)  # type: ignore[no-any-return]


def _build(
    build: Callable[..., Any], kind: str, options: Mapping[str, Any], shared: Mapping[str, Any]
) -> Any:
    parameters = inspect.signature(build).parameters
    named = {name: parameter for name, parameter in parameters.items() if parameter.kind not in _VARIADIC}
    parts = {name: part for name, part in shared.items() if name in named}
    allowed = [name for name in named if name not in shared]
    takes_any = any(parameter.kind is Parameter.VAR_KEYWORD for parameter in parameters.values())
    for option in options:
        if option in parts or (option not in allowed and not takes_any):
            raise ConfigError.at(
                f"options.{option}",
                f"kind {kind!r} has no option {option!r}; it has: {', '.join(allowed) or 'none'}",
            )
    for name in allowed:
        if name in options:
            _check(name, options[name], named[name].annotation)
        elif named[name].default is Parameter.empty:
            raise ConfigError.at(f"options.{name}", f"kind {kind!r} requires this option")
    try:
        return build(**parts, **options)
    except (TypeError, ValueError) as error:
        raise ConfigError.at("options", str(error)) from error


def _check(name: str, value: Any, annotation: Any) -> None:
    """Refuse a number in place of a text, and the like; a kind checks options of other types itself."""
    types = {*get_args(annotation)} if get_origin(annotation) in (Union, UnionType) else {annotation}
    wanted = [sentence for scalar, sentence in _SCALARS.items() if scalar in types]
    fits = type(value) in types or (type(value) is int and float in types)
    if wanted and types <= {*_SCALARS, NoneType} and type(value) in _JSON and not fits:
        raise ConfigError.at(f"options.{name}", f"write {' or '.join(wanted)}")
