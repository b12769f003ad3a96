"""The servers of these tests. All that a session needs start together, since starting is what takes time."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from acceptance.busy import EACH_S, SLOW_S
from acceptance.restarts import salted, started
from acceptance.wire import Service, until
from processes import launch, wait_ready

pytest.register_assert_rewrite("acceptance.metrics")

#: Loads, since its self-test is not timed, and then fails every request; its circuit stays closed.
LATE: dict[str, Any] = {
    "name": "late",
    "kind": "fake",
    "options": {"delay_s": 0.5},
    "timeout_s": 0.05,
    "circuit_failures": 10_000,
}
#: Fails its self-test.
BROKEN: dict[str, Any] = {"name": "broken", "kind": "fake", "options": {"fail": True}}
LOGLIK: dict[str, Any] = {"name": "loglik", "kind": "loglik"}


def failing_on_demand(fault: str, **settings: Any) -> dict[str, Any]:
    """An arm named for its fault, which lasts while a file of that name is in the server's folder."""
    options = {"fault": fault, "fault_file": f"FOLDER/{fault}"}
    return {"name": fault, "kind": "fake", "options": options} | settings


#: Fixture -> the settings of its servers, by the names of their variables; FOLDER is the server's own.
SETTINGS: dict[str, dict[str, Any]] = {
    "main": {
        "GENERATION__MAX_MODEL_LEN": 6000,
        "POLICY__LEARN_FROM": "reward",
        "POLICY__EPSILON_START": 0.9,
        "STORAGE__SNAPSHOT_EVERY": 5,
    },
    "corrected": {},
    "straight": {},
    "learns_thumb": {"POLICY__LEARN_FROM": "thumb"},
    "learns_references": {"POLICY__LEARN_FROM": "references"},
    "faulty": {"ARMS": [LOGLIK, LATE, BROKEN]},
    "hopeless": {"ARMS": [LATE, LATE | {"name": "later"}]},
    "armless": {"ARMS": [BROKEN]},
    "frail": {
        "ARMS": [
            LOGLIK,
            failing_on_demand("some-nan"),
            failing_on_demand("raise", circuit_failures=1, circuit_open_s=0.1),
        ]
    },
    "growing": {
        "GENERATION__ENGINE_ARGS": {"delay_s": 0.01},
        "SERVER__MAX_CONCURRENT_REQUESTS": 64,
        "POLICY__NAME": "random",
        "SCORING__SHADOW_SHARE": 1.0,
    },
    "unhurried": {"GENERATION__ENGINE_ARGS": {"delay_s": EACH_S}},
    "narrow": {
        "ARMS": [LOGLIK, {"name": "slow", "kind": "fake", "options": {"delay_s": SLOW_S}}],
        "SERVER__MAX_CONCURRENT_REQUESTS": 1,
    },
    "keyed": {"SERVER__API_KEYS": {"alice": "s3cret", "bob": "hunter2"}, "LOG__LEVEL": "debug"},
    "forgetful": {"STORAGE__RETENTION": "none", "POLICY__LEARN_FROM": "chosen_index"},
    "hashing": {"STORAGE__RETENTION": "hash", "POLICY__LEARN_FROM": "candidate_rewards"},
    "brief": {
        "POLICY__LEARN_FROM": "reward",
        "FEEDBACK__WAIT_S": 0.5,
        "FEEDBACK__DEFAULT_REWARD": 0.25,
    },
    "signed": {
        "POLICY__LEARN_FROM": "reward",
        "FEEDBACK__REWARD_RANGE": [-1, 1],
        "FEEDBACK__WAIT_S": 3600,
        "FEEDBACK__DEFAULT_REWARD": -0.5,
    },
    "scaled": {"POLICY__LEARN_FROM": "reward", "POLICY__REWARD_SCALING": "quantile"},
    "watched": {"POLICY__MODE": "observe", "POLICY__OBSERVE_ARM": "consensus", "POLICY__NAME": "random"},
    "patient": {
        "POLICY__LEARN_FROM": "thumb",
        "FEEDBACK__WAIT_S": 3600,
        "FEEDBACK__DEFAULT_REWARD": 0,
    },
}


class Fleet:
    """Servers by the names of `SETTINGS`, on the fake profile, each with a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._services: dict[str, Service] = {}

    def launch(self, name: str) -> None:
        folder = self._folder / name
        folder.mkdir()
        settings = {"DATA_DIR": str(folder), "STORAGE__KIND": "sqlite"} | SETTINGS[name]
        env = {
            f"LASERVE_{setting}": value if isinstance(value, str) else json.dumps(value)
            for setting, value in settings.items()
        }
        env = {name: value.replace("FOLDER", str(folder)) for name, value in env.items()}
        server = launch(folder / "log", "--profile", "fake", env=env)
        self._services[name] = Service(server, folder)

    def launched(self, name: str) -> Service:
        if name not in self._services:
            self.launch(name)
        return self._services[name]

    def ready(self, name: str) -> Service:
        service = self.launched(name)
        if not service.server.url:
            wait_ready(service.server, timeout_s=120)
        return service

    def close(self) -> None:
        servers = [service.server for service in self._services.values()]
        for server in servers:
            server.client.close()
            server.process.terminate()
        for server in servers:
            server.process.wait(60)


@pytest.fixture(scope="session")
def fleet(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path_factory.mktemp("fleet"))
    try:
        wanted = {name for item in request.session.items for name in getattr(item, "fixturenames", ())}
        for name in SETTINGS:
            if name in wanted:
                fleet.launch(name)
        yield fleet
    finally:
        fleet.close()


@pytest.fixture(scope="session")
def main(fleet: Fleet) -> Service:
    """The default arms; explores often, learns from `reward`, and has a short model."""
    return fleet.ready("main")


@pytest.fixture(scope="session")
def corrected(fleet: Fleet) -> Service:
    """The default arms and an empty log, which only the test of corrections may teach."""
    return fleet.ready("corrected")


@pytest.fixture(scope="session")
def straight(fleet: Fleet) -> Service:
    """Another server like `corrected`."""
    return fleet.ready("straight")


@pytest.fixture(scope="session")
def learns_thumb(fleet: Fleet) -> Service:
    return fleet.ready("learns_thumb")


@pytest.fixture(scope="session")
def learns_references(fleet: Fleet) -> Service:
    return fleet.ready("learns_references")


@pytest.fixture(scope="session")
def learners(
    main: Service, learns_thumb: Service, forgetful: Service, hashing: Service, learns_references: Service
) -> dict[str, Service]:
    """A server for each kind of feedback, which learns from that kind."""
    return {
        "reward": main,
        "thumb": learns_thumb,
        "chosen_index": forgetful,
        "candidate_rewards": hashing,
        "references": learns_references,
    }


@pytest.fixture(scope="session")
def faulty(fleet: Fleet) -> Service:
    """An arm that works, one that is too slow for every request, one that never loads."""
    return fleet.ready("faulty")


@pytest.fixture(scope="session")
def hopeless(fleet: Fleet) -> Service:
    """No arm that could score a request."""
    return fleet.ready("hopeless")


@pytest.fixture(scope="session")
def armless(fleet: Fleet) -> Service:
    """No arm that loads; the generator is ready."""
    service = fleet.launched("armless")
    server = service.server
    until(lambda: "failed to load" in server.output(), timeout_s=120)
    match = re.search(r"listening on (http://\S+?),", server.output())
    assert match is not None
    server.client.close()
    server.url, server.client = match[1], httpx.Client(base_url=match[1], timeout=30)
    until(lambda: server.client.get("/readyz").json()["generator"] == "ready")
    return service


@pytest.fixture(scope="session")
def frail(fleet: Fleet) -> Service:
    """An arm that always works, and two that fail on demand."""
    return fleet.ready("frail")


@pytest.fixture(scope="session")
def growing(fleet: Fleet) -> Service:
    """Arms come and go; draws at random, and has every arm score every request."""
    return fleet.ready("growing")


@pytest.fixture(scope="session")
def unhurried(fleet: Fleet) -> Service:
    """Samples one candidate after another, every `EACH_S`."""
    return fleet.ready("unhurried")


@pytest.fixture(scope="session")
def narrow(fleet: Fleet) -> Service:
    """One request at a time, and an arm that takes its time."""
    return fleet.ready("narrow")


@pytest.fixture(scope="session")
def keyed(fleet: Fleet) -> Service:
    """Two callers with a key each, and the chattiest log."""
    return fleet.ready("keyed")


@pytest.fixture(scope="session")
def forgetful(fleet: Fleet) -> Service:
    """Keeps no texts; learns from `chosen_index`."""
    return fleet.ready("forgetful")


@pytest.fixture(scope="session")
def hashing(fleet: Fleet) -> Service:
    """Keeps hashes of texts; learns from `candidate_rewards`."""
    return fleet.ready("hashing")


@pytest.fixture(scope="session")
def brief(fleet: Fleet) -> Service:
    """Waits half a second for feedback and then learns a default of 0.25; learns from `reward`."""
    return fleet.ready("brief")


@pytest.fixture(scope="session")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Had another generator when it was started for the first time."""
    folder = tmp_path_factory.mktemp("changed")
    with started(folder, **salted("before")):
        pass
    with started(folder, **salted("after")) as service:
        yield service


@pytest.fixture(scope="session")
def watched(fleet: Fleet) -> Service:
    """`consensus` answers; what a random policy would have drawn is logged."""
    return fleet.ready("watched")


@pytest.fixture(scope="session")
def signed(fleet: Fleet) -> Service:
    """Takes rewards from -1 to 1, and learns from `reward`; its default of -0.5 is never due."""
    return fleet.ready("signed")


@pytest.fixture(scope="session")
def scaled(fleet: Fleet) -> Service:
    """Scales rewards by their quantiles before it learns them; learns from `reward`."""
    return fleet.ready("scaled")


@pytest.fixture(scope="session")
def patient(fleet: Fleet) -> Service:
    """Waits an hour for feedback, far longer than these tests last; learns from `thumb`."""
    return fleet.ready("patient")
