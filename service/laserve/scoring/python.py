"""Reward models of other packages: entry points of the group ``laserve.reward_models``."""

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from laserve.errors import ConfigError
from laserve.scoring.plain import missing_members

GROUP = "laserve.reward_models"


def find(name: Any) -> Callable[..., Any]:
    """The class or function of an installed package that makes the reward model of this name.

    Raises:
        ConfigError: no package has an entry point of this name, several have, or it cannot be imported.
    """
    points = entry_points(group=GROUP)
    matches = [point for point in points if point.name == name]
    if not matches:
        installed = ", ".join(sorted(points.names)) or "none"
        raise ConfigError.at(
            "options.name", f"no installed package has a reward model {name!r}; there are: {installed}"
        )
    if len({point.value for point in matches}) > 1:
        raise ConfigError.at(
            "options.name", f"several packages have {name!r}: {', '.join(map(_owner, matches))}"
        )
    try:
        build = matches[0].load()
    except (ImportError, AttributeError) as error:
        raise ConfigError.at(
            "options.name", f"{name!r} of {_owner(matches[0])} cannot be imported: {error}"
        ) from error
    if not callable(build):
        raise ConfigError.at(
            "options.name", f"{name!r} of {_owner(matches[0])} is neither a class nor a function"
        )
    return build  # type: ignore[no-any-return]


def release(name: Any) -> str | None:
    """Name and version of the package of the reward model that `find` gives; None if they are unknown."""
    owners = [point.dist for point in entry_points(group=GROUP) if point.name == name]
    return next((f"{owner.name} {owner.version}" for owner in owners if owner is not None), None)


def check(name: Any, model: Any) -> None:
    """Raise ConfigError unless the object is a reward model, with readings of its own or plain."""
    if missing := missing_members(model):
        raise ConfigError.at(
            "options.name", f"{name!r} is not a reward model: it has no {', '.join(missing)}"
        )


def _owner(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.value
