"""The distributions that are installed here: what needs which, and their files elsewhere."""

from collections.abc import Collection, Iterable
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def closure(requirements: Iterable[str], *, without: Collection[str] = ()) -> dict[str, Distribution]:
    """What requirements need, directly or not, by canonical name.

    Args:
        without: canonical names that are neither in it nor followed.
    """
    waiting = [(Requirement(line), "") for line in requirements]
    seen: set[tuple[str, str]] = set()
    needed: dict[str, Distribution] = {}
    while waiting:
        requirement, extra = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in without or (requirement.marker and not requirement.marker.evaluate({"extra": extra})):
            continue
        needed[name] = distribution(name)
        for wanted in {"", *requirement.extras} - {known for one, known in seen if one == name}:
            seen.add((name, wanted))
            waiting += [(Requirement(line), wanted) for line in needed[name].requires or ()]
    return needed


def link(installed: Distribution, site_packages: Path) -> None:
    """Make a distribution visible, file by file, since folders may be shared with other distributions."""
    for file in set(installed.files or ()):  # some are recorded twice
        if ".." not in file.parts:
            target = site_packages / file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(file.locate())
