"""The registry of what moves each metric family."""

from collections.abc import Callable

import pytest

from acceptance.wire import Service

Cause = Callable[[pytest.FixtureRequest], None]
#: Metric families, each with a function that brings a cause about and asserts that the family moves by it.
CAUSES: list[tuple[str, Cause]] = []


def cause(family: str) -> Callable[[Cause], Cause]:
    """Declare what moves a metric family; the function asserts that it does."""

    def declare(check: Cause) -> Cause:
        CAUSES.append((family, check))
        return check

    return declare


def service(request: pytest.FixtureRequest, name: str = "main") -> Service:
    value = request.getfixturevalue(name)
    assert isinstance(value, Service)
    return value
