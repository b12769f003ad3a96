"""What is said of a model that cannot be loaded in this process."""

import pytest

from laserve.errors import ArmFailed, ConfigError, LaserveError
from laserve.scoring.inprocess.base import Backend, InProcess


@pytest.mark.parametrize(
    ("raised", "expected", "message"),
    [
        (ImportError("No module named 'torch'"), ConfigError, "pip install"),
        (AssertionError("Torch not compiled with CUDA enabled"), ArmFailed, "CUDA"),
        (RuntimeError("out of memory"), ArmFailed, "out of memory"),
        (ConfigError("options.model: is none"), ConfigError, "is none"),
    ],
)
async def test_a_load_that_fails_raises_one_of_our_errors(
    raised: Exception, expected: type[LaserveError], message: str
) -> None:
    def load() -> Backend:
        raise raised

    model = InProcess(load, name="rm")
    with pytest.raises(expected, match=message):
        await model.load()
    await model.close()
