"""Fixtures that every kind of test may use, and the choice of a lane of tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import lanes
from contract.reward_models import (  # noqa: F401 - fixtures
    chat_server,
    classifier,
    classifier_server,
    language_model,
    vllm_servers,
)
from processes import serving

# Settings of the machine must not leak into tests.
for name in [name for name in os.environ if name.startswith("LASERVE_") and name != "LASERVE_CACHE_DIR"]:
    del os.environ[name]
for name in ("HOST", "PORT"):
    os.environ.pop(name, None)


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of the test's own, configured."""
    monkeypatch.setenv("LASERVE_DATA_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """The embedded default on the real vLLM engine, one for the whole session, without a C++ compiler."""
    folder = tmp_path_factory.mktemp("engine")
    env = {"LASERVE_DATA_DIR": str(folder), "CXX": "no compiler", "TORCHINDUCTOR_CACHE_DIR": str(folder)}
    with serving(folder / "log", env=env, timeout_s=300) as server:
        yield server.client


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--lane", choices=list(lanes.LANES), help="run the tests of this lane alone, see tests/lanes.py"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests of other lanes than the chosen one."""
    try:
        by_lane = lanes.split(items)
    except ValueError as error:
        raise pytest.UsageError(str(error)) from error
    if (name := config.getoption("--lane")) is not None:
        others = [item for lane, left_out in by_lane.items() if lane != name for item in left_out]
        config.hook.pytest_deselected(items=others)
        items[:] = by_lane[name]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a skipped test is a failure: what a test needs, the project installs."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
