"""An arm that fails again and again is not chosen until it has proved itself."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from acceptance.wire import Service, until
from processes import serving

pytestmark = pytest.mark.timed

HANG_S = 1.0
#: Far below what a hanging arm would cost, far above what the rest does.
QUICK_S = 0.5
#: Fault -> what the answer says of it.
FAULTS = {
    "raise": "raised RuntimeError",
    "hang": "no scores within 1 s",
    "nan": "gave no finite score",
    "shape": "gave scores of shape (",
}
#: Failures that open a circuit.
LIMIT = 2
LOGLIK = {"name": "loglik", "kind": "loglik"}


class Unreliable(Service):
    """A service whose arms have a fault each, which lasts while the test says so."""

    @contextmanager
    def failing(self, *arms: str) -> Iterator[None]:
        """These arms fail in the block; behind it they are well again, and their circuits are closed."""
        for arm in arms:
            (self.folder / f"{arm}.fault").touch()
        try:
            yield
        finally:
            for arm in arms:
                self.mend(arm)
            for arm in arms:
                self.closed(arm)

    def mend(self, arm: str) -> None:
        (self.folder / f"{arm}.fault").unlink(missing_ok=True)

    def ask(self, arm: str, **body: Any) -> dict[str, Any]:
        """The answer to a request that draws this arm."""
        answer = self.generate(policy=f"fixed:{arm}", **body)
        assert (answer["arm"], answer["propensity"]) == (arm, 1)
        return answer

    def opened(self, *arms: str) -> None:
        """Fail until the circuits of these arms are open."""
        with ThreadPoolExecutor(len(arms) * LIMIT) as pool:
            list(pool.map(self.ask, arms * LIMIT))
        assert {arm: self.state(arm) for arm in arms} == dict.fromkeys(arms, "open")

    def half_opened(self, arm: str) -> None:
        """Let an arm prove itself."""
        self.mend(arm)
        until(lambda: self.ready(arm) == "half-open")

    def closed(self, arm: str) -> None:
        """Let an arm that is well serve."""
        until(lambda: self.ready(arm) != "open")
        assert self.ask(arm)["scored_by"] == arm
        assert self.state(arm) == "ready"

    def state(self, arm: str) -> str:
        """What `/arms` and `/readyz` say of an arm."""
        state = self.ready(arm)
        assert self.arm(arm)["state"] == state
        return state

    def ready(self, arm: str) -> str:
        return str(self.get("/readyz")["arms"][arm])

    def arm(self, name: str) -> dict[str, Any]:
        (match,) = (arm for arm in self.get("/arms")["arms"] if arm["name"] == name)
        return match

    def circuit(self, arm: str) -> list[str]:
        """The states that the metric has at 1."""
        states = ("closed", "open", "half-open")
        return [state for state in states if self.sample("laserve_rm_circuit", arm=arm, state=state)]


def arm(folder: Path, name: str, fault: str, *, failures: int = LIMIT, **options: Any) -> dict[str, Any]:
    return {
        "name": name,
        "kind": "fake",
        "options": {"salt": name, "fault": fault, "fault_file": str(folder / f"{name}.fault")} | options,
        "timeout_s": HANG_S if fault == "hang" else 30,
        "circuit_failures": failures,
        "circuit_open_s": 0.2,
    }


@contextmanager
def unreliable_service(folder: Path, *arms: dict[str, Any]) -> Iterator[Unreliable]:
    settings = {
        "LASERVE_DATA_DIR": str(folder),
        "LASERVE_STORAGE__KIND": "sqlite",
        "LASERVE_POLICY__LEARN_FROM": "reward",
        "LASERVE_ARMS": json.dumps(arms),
    }
    with serving(folder / "log", "--profile", "fake", env=settings) as server:
        yield Unreliable(server, folder)


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Unreliable]:
    """An arm for each fault, and one that always works."""
    folder = tmp_path_factory.mktemp("troubled")
    faults = [arm(folder, fault, fault) for fault in (*FAULTS, "some-nan")]
    with unreliable_service(folder, LOGLIK, *faults) as service:
        yield service


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Unreliable]:
    """An arm that takes a second, its tests as well."""
    folder = tmp_path_factory.mktemp("slow")
    with unreliable_service(folder, LOGLIK, arm(folder, "slow", "raise", delay_s=1.0)) as service:
        yield service


@pytest.fixture(scope="module")
def unsteady(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Unreliable]:
    """Four arms, one of which may fail as often as it likes."""
    folder = tmp_path_factory.mktemp("unsteady")
    steady = [{"name": name, "kind": "fake", "options": {"salt": name}} for name in ("a", "b", "c")]
    with unreliable_service(folder, *steady, arm(folder, "bad", "raise", failures=10_000)) as service:
        yield service


@pytest.fixture(scope="module")
def doomed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Unreliable]:
    """Arms that may all fail."""
    folder = tmp_path_factory.mktemp("doomed")
    with unreliable_service(folder, arm(folder, "hang", "hang"), arm(folder, "raise", "raise")) as service:
        yield service


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_costs_the_request_its_arm_and_not_its_answer(troubled: Unreliable, fault: str) -> None:
    with troubled.failing(fault), troubled.watching() as change:
        answer = troubled.ask(fault)
    assert answer["scored_by"] not in (None, fault)
    (reason,) = answer["degraded"]
    assert reason.startswith(f"arm_failed: {fault}: {FAULTS[fault]}")
    assert answer["text"] == answer["candidates"][answer["index"]]["text"]
    assert answer["score"] == max(candidate["score"] for candidate in answer["candidates"])
    assert fault not in troubled.decision(answer["decision_id"])["scores"]
    assert change("laserve_rm_failed_total", arm=fault) == 1
    assert change("laserve_rm_fallback_total", arm=fault) == 1
    assert change("laserve_degraded_total", reason="arm_failed") == 1
    assert troubled.state(fault) == "ready"


@pytest.mark.parametrize("fault", FAULTS)
def test_so_many_failures_in_a_row_open_the_circuit_and_a_success_after_a_test_closes_it(
    troubled: Unreliable, fault: str
) -> None:
    assert troubled.circuit(fault) == ["closed"]
    with troubled.failing(fault):
        with troubled.watching() as change:
            for _ in range(LIMIT):
                assert troubled.state(fault) == "ready"
                troubled.ask(fault)
        assert change("laserve_rm_failed_total", arm=fault) == LIMIT
        assert troubled.state(fault) == "open"
        assert troubled.circuit(fault) == ["open"]
        assert troubled.arm(fault)["error"].startswith(FAULTS[fault])
        readiness = troubled.client.get("/readyz")
        assert (readiness.status_code, readiness.json()["status"]) == (200, "ready")
        assert list(readiness.json()["why"]) == [fault]
        assert readiness.json()["why"][fault].startswith(FAULTS[fault])

        troubled.half_opened(fault)
        assert troubled.circuit(fault) == ["half-open"]
        with troubled.watching() as change:
            answer = troubled.ask(fault)
        assert (answer["scored_by"], answer["degraded"]) == (fault, [])
        assert change("laserve_rm_failed_total", arm=fault) == 0
        assert change("laserve_rm_fallback_total", arm=fault) == 0
        assert troubled.state(fault) == "ready"
        assert troubled.circuit(fault) == ["closed"]
        assert troubled.arm(fault)["error"] is None
        assert troubled.get("/readyz")["why"] == {}


@pytest.mark.parametrize("body", [{"policy": "fixed:hang"}, {"arm": "hang"}])
def test_an_arm_whose_circuit_is_open_is_answered_for_by_another_at_once(
    troubled: Unreliable, body: dict[str, str]
) -> None:
    with troubled.failing("hang"):
        troubled.opened("hang")
        with troubled.watching() as change:
            answer = troubled.generate(**body)
        assert answer["arm"] == "hang"
        assert answer["propensity"] == (1 if "policy" in body else None)
        assert answer["scored_by"] not in (None, "hang")
        assert answer["degraded"] == ["arm_failed: hang: its circuit is open"]
        assert answer["timings"]["score"] < QUICK_S
        assert change("laserve_rm_fallback_total", arm="hang") == 1
        assert change("laserve_rm_failed_total", arm="hang") == 0  # it was not asked
        assert change("laserve_rm_seconds_count", arm="hang") == 0


def test_an_arm_whose_circuit_is_open_is_not_drawn(troubled: Unreliable) -> None:
    others = [arm["name"] for arm in troubled.get("/arms")["arms"] if arm["name"] != "nan"]
    with troubled.failing("nan"):
        troubled.opened("nan")
        for _ in range(20):
            answer = troubled.generate(policy="random", n=2)
            assert {why["arm"]: why["probability"] for why in answer["why"]} == dict.fromkeys(
                others, pytest.approx(1 / len(others))
            )
            assert answer["propensity"] == pytest.approx(1 / len(others))
            assert (answer["scored_by"], answer["degraded"]) == (answer["arm"], [])
    assert "nan" in [why["arm"] for why in troubled.generate(policy="random")["why"]]


def test_an_arm_that_fails_again_when_it_is_half_open_is_open_again(troubled: Unreliable) -> None:
    with troubled.failing("shape"):
        troubled.opened("shape")
        troubled.half_opened("shape")
        (troubled.folder / "shape.fault").touch()
        answer = troubled.ask("shape")
        assert answer["scored_by"] not in (None, "shape")
        assert answer["degraded"][0].startswith(f"arm_failed: shape: {FAULTS['shape']}")
        assert troubled.state("shape") == "open"
        assert troubled.circuit("shape") == ["open"]


def test_an_arm_whose_fault_lasts_stays_open(troubled: Unreliable) -> None:
    with troubled.failing("raise"):
        troubled.opened("raise")
        tests = "arm raise: circuit open for"
        before = troubled.server.output().count(tests)
        until(lambda: troubled.server.output().count(tests) >= before + 2)
        assert "arm raise: circuit open for 0.4 s more" in troubled.server.output()
        assert "arm raise: circuit open for 0.8 s more" in troubled.server.output()
        assert troubled.state("raise") == "open"


def test_a_half_open_arm_is_asked_by_one_request_at_a_time(slow: Unreliable) -> None:
    with slow.failing("slow"):
        slow.opened("slow")
        slow.half_opened("slow")
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(slow.ask, ["slow"] * 4))
        scored = [answer for answer in answers if answer["scored_by"] == "slow"]
        others = [answer for answer in answers if answer["scored_by"] != "slow"]
        assert [answer["degraded"] for answer in scored] == [[]]
        assert [answer["degraded"] for answer in others] == [
            ["arm_failed: slow: its circuit is half-open"]
        ] * 3
        assert slow.state("slow") == "ready"


def test_scores_that_are_not_finite_drop_their_candidates_and_not_the_arm(troubled: Unreliable) -> None:
    with troubled.failing("some-nan"):
        for _ in range(LIMIT + 1):
            with troubled.watching() as change:
                answer = troubled.ask("some-nan", n=6)
            scores = [candidate["score"] for candidate in answer["candidates"]]
            dropped = scores.count(None)
            assert 0 < dropped < 6
            assert answer["score"] == max(score for score in scores if score is not None)
            assert answer["scored_by"] == "some-nan"
            assert answer["degraded"] == [f"non_finite: some-nan: {dropped} of 6 candidates"]
            assert change("laserve_rm_non_finite_total", arm="some-nan") == dropped
            assert change("laserve_rm_failed_total", arm="some-nan") == 0
            assert change("laserve_degraded_total", reason="non_finite") == 1
        assert troubled.state("some-nan") == "ready"


def test_the_draw_stays_what_it_was_and_the_others_take_over_by_their_chances(unsteady: Unreliable) -> None:
    with unsteady.failing("bad"), ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: unsteady.generate(policy="random", n=2), range(600)))
    for answer in answers:
        assert answer["propensity"] == 0.25
        assert {why["arm"]: why["probability"] for why in answer["why"]} == dict.fromkeys(
            ("a", "b", "c", "bad"), 0.25
        )
        failed = answer["arm"] == "bad"
        assert answer["degraded"] == ["arm_failed: bad: raised RuntimeError"] * failed
        assert failed or answer["scored_by"] == answer["arm"]
    drawn = Counter(answer["arm"] for answer in answers)
    replaced = Counter(answer["scored_by"] for answer in answers if answer["arm"] == "bad")
    assert replaced.keys() == {"a", "b", "c"}
    for counts, arms in ((drawn, 4), (replaced, 3)):
        even = counts.total() / arms
        # Chi-square with at most three degrees of freedom goes over 45 in one of 10^9 runs.
        assert sum((count - even) ** 2 / even for count in counts.values()) < 45


def test_when_every_circuit_is_open_the_likeliest_candidate_goes_back_at_once_and_teaches_nobody(
    doomed: Unreliable,
) -> None:
    with doomed.failing("hang", "raise"):
        doomed.opened("hang", "raise")
        before = doomed.policy()
        for body in ({}, {"policy": "random"}, {"policy": "fixed:hang"}, {"arm": "raise"}):
            started = time.monotonic()
            answer = doomed.generate(n=8, **body)
            assert time.monotonic() - started < QUICK_S
            assert (answer["scored_by"], answer["score"]) == (None, None)
            means = [candidate["logprob"] / candidate["tokens"] for candidate in answer["candidates"]]
            assert answer["index"] == means.index(max(means))
            assert sorted(answer["degraded"]) == [
                "arm_failed: hang: its circuit is open",
                "arm_failed: raise: its circuit is open",
                "unscored: every arm failed; best mean log-probability",
            ]
            stored = doomed.decision(answer["decision_id"])
            assert (stored["scored_by"], stored["scores"], stored["choices"]) == (None, {}, {})
            assert doomed.rate(answer["decision_id"], reward=1)["learned"] is False
        after = doomed.policy()
        assert (after["arms"], after["decisions"]) == (before["arms"], before["decisions"])
        readiness = doomed.client.get("/readyz")
        assert (readiness.status_code, readiness.json()["arms"]) == (200, {"hang": "open", "raise": "open"})
        assert readiness.json()["why"].keys() == {"hang", "raise"}
    answer = doomed.generate()
    assert (answer["scored_by"], answer["degraded"]) == (answer["arm"], [])


def test_no_fault_of_an_arm_shows_as_a_fault_of_the_service(
    troubled: Unreliable, slow: Unreliable, unsteady: Unreliable, doomed: Unreliable
) -> None:
    for service in (troubled, slow, unsteady, doomed):
        assert "Traceback" not in service.server.output()
        statuses = {
            dict(labels)["status"]
            for (name, labels) in service.samples()
            if name == "laserve_requests_total" and ("endpoint", "/generate") in labels
        }
        assert statuses == {"200"}
        assert service.sample("laserve_permits_in_use") == 0
