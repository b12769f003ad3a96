"""Fixtures that every kind of test may use, and the choice of a lane of tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from contract.reward_models import (  # noqa: F401 - fixtures
    chat_server,
    classifier,
    classifier_server,
    language_model,
    vllm_servers,
)
from lanes import ENGINE, LANES, lane_of
from processes import serving

#: Fixtures that start a real engine, which tests of the engine lane alone may do.
ENGINES = {"engine", "vllm_servers"}

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
    """The embedded default on the real vLLM engine, one for the whole session."""
    folder = tmp_path_factory.mktemp("engine")
    with serving(folder / "log", env={"LASERVE_DATA_DIR": str(folder)}, timeout_s=300) as server:
        yield server.client


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--lane", choices=list(LANES), help="run the tests of this lane alone, see tests/lanes.py"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Every test is in one lane; those of other lanes than the chosen one are left out."""
    wanted, others = [], []
    for item in items:
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        try:
            lane = lane_of(folder, {mark.name for mark in item.iter_markers()})
        except ValueError as error:
            raise pytest.UsageError(f"{item.nodeid}: {error}") from error
        if lane is not ENGINE and ENGINES & set(getattr(item, "fixturenames", ())):
            raise pytest.UsageError(f"{item.nodeid} starts an engine and is not marked so")
        (wanted if config.getoption("--lane") in (None, lane.name) else others).append(item)
    config.hook.pytest_deselected(items=others)
    items[:] = wanted


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a skipped test is a failure: what a test needs, the project installs."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
