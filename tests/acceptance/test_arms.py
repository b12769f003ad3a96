"""Arms that come and go while the service runs."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import httpx_sse
import pytest

from acceptance.wire import Service, until
from processes import serving

FAKE = {"kind": "fake", "options": {"salt": "a"}}


def add(service: Service, name: str, **body: Any) -> dict[str, Any]:
    answer = service.client.post("/arms", json={"name": name} | FAKE | body)
    assert answer.status_code == 202, answer.text
    return answer.json()


def added(service: Service, name: str, **body: Any) -> None:
    add(service, name, **body)
    until(lambda: state(service, name) != "loading")


def state(service: Service, name: str) -> str:
    return service.get(f"/arms/{name}")["state"]


def move(service: Service, name: str, to: str) -> httpx.Response:
    return service.client.patch(f"/arms/{name}", json={"state": to})


def settled(service: Service) -> Service:
    """The service, once no arm is loading any more: it serves as soon as one has loaded."""
    until(lambda: "loading" not in service.get("/readyz")["arms"].values())
    return service


@contextmanager
def traffic(service: Service, clients: int = 8) -> Iterator[list[httpx.Response]]:
    """Clients that post one request after another; all answers, when the block has ended."""
    answers: list[httpx.Response] = []
    stop = threading.Event()

    def post() -> None:
        with httpx.Client(base_url=service.server.url, timeout=30) as client:
            while not stop.is_set():
                answers.append(client.post("/generate", json={"prompt": "a b", "n": 2}))

    threads = [threading.Thread(target=post) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_an_added_arm_is_chosen_and_a_retired_one_is_not_and_no_request_fails(growing: Service) -> None:
    with traffic(growing) as answers:
        until(lambda: len(answers) > 20)
        assert add(growing, "busy") | {"state": ""} == {
            "name": "busy",
            "kind": "fake",
            "state": "",
            "error": None,
            "free": False,
            "loaded": False,
            "pulls": 0,
            "updates": 0,
            "mean_reward": None,
        }
        until(lambda: any(answer.json()["arm"] == "busy" for answer in list(answers)))
        for step in ("draining", "enabled", "draining", "retired"):
            assert move(growing, "busy", step).status_code == 200
            time.sleep(0.05)
        until(lambda: not growing.get("/arms/busy")["loaded"])
        seen = len(answers)
        until(lambda: len(answers) > seen + 30)
    assert {answer.status_code for answer in answers} == {200}
    assert not [answer.json()["degraded"] for answer in answers if answer.json()["degraded"]]
    late = [answer.json() for answer in answers[-10:]]
    assert not [answer for answer in late if answer["arm"] == "busy"]
    assert not [
        key for key in growing.samples() if key[0] == "laserve_rm_circuit" and ("arm", "busy") in key[1]
    ]
    assert "busy" in [arm["name"] for arm in growing.policy()["arms"]]


@pytest.mark.timed
def test_an_arm_that_loads_slowly_stalls_nobody(growing: Service) -> None:
    started = time.monotonic()
    assert add(growing, "slow", options={"delay_s": 3.0})["state"] == "loading"
    assert "slow" not in [arm["name"] for arm in growing.policy()["arms"]]
    assert growing.generate(n=2)["arm"] != "slow"
    assert growing.get("/readyz")["arms"]["slow"] == "loading"
    assert time.monotonic() - started < 2.7
    assert move(growing, "slow", "retired").status_code == 409
    until(lambda: state(growing, "slow") == "ready")
    assert move(growing, "slow", "retired").status_code == 200


def test_feedback_teaches_an_added_arm(growing: Service) -> None:
    added(growing, "taught")
    decision = growing.decide(policy="fixed:taught")
    growing.rate(decision, reward=1)
    assert growing.get("/arms/taught") | {"error": ""} == {
        "name": "taught",
        "kind": "fake",
        "state": "ready",
        "error": "",
        "free": False,
        "loaded": True,
        "pulls": 1,
        "updates": 1,
        "mean_reward": 1.0,
    }
    move(growing, "taught", "retired")


def test_a_drained_arm_cannot_be_pinned_or_played(growing: Service) -> None:
    added(growing, "drained")
    assert growing.generate(arm="drained")["scored_by"] == "drained"
    assert move(growing, "drained", "draining").json()["state"] == "draining"
    for body in ({"arm": "drained"}, {"policy": "fixed:drained"}):
        answer = growing.client.post("/generate", json={"prompt": "a"} | body)
        assert (answer.status_code, answer.json()["error"]["param"]) == (422, next(iter(body)))
    assert move(growing, "drained", "enabled").json()["state"] == "ready"
    assert growing.generate(arm="drained")["scored_by"] == "drained"
    move(growing, "drained", "retired")


def test_requests_under_way_finish_by_an_arm_that_is_retired(growing: Service) -> None:
    added(growing, "leaving", options={"delay_s": 1.0})
    body = {"prompt": "a", "arm": "leaving", "stream": True}
    with httpx_sse.connect_sse(growing.client, "POST", "/generate", json=body) as source:
        events = source.iter_sse()
        assert next(events).event == "candidate"
        assert move(growing, "leaving", "retired").json()["state"] == "retired"
        assert growing.get("/arms/leaving")["loaded"]
        last = [*events][-1]
    assert (last.event, last.json()["scored_by"], last.json()["degraded"]) == ("decision", "leaving", [])
    until(lambda: not growing.get("/arms/leaving")["loaded"])


def test_an_arm_that_cannot_load_is_reported_and_may_be_posted_again(growing: Service) -> None:
    added(growing, "flawed", options={"fail": True})
    flawed = growing.get("/arms/flawed")
    assert (flawed["state"], flawed["error"]) == ("failed", "told to fail")
    assert growing.get("/readyz")["why"]["flawed"] == "told to fail"
    added(growing, "flawed")
    assert state(growing, "flawed") == "ready"
    assert growing.client.post("/arms", json={"name": "flawed"} | FAKE).status_code == 409
    move(growing, "flawed", "retired")


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"kind": "vllm"}, 403, "kind"),
        ({"kind": "nothing"}, 422, "kind"),
        ({"options": {"nothing": 1}}, 422, "options.nothing"),
        ({"options": {"fault": "nothing"}}, 422, "options.fault"),
        ({"options": {"fault_file": "/etc/passwd"}}, 403, "options.fault_file"),
        ({"options": {"fault_file": "../../x"}}, 403, "options.fault_file"),
        ({"options": {"model": "/etc"}}, 403, "options.model"),
        ({"options": {"url": "http://169.254.169.254/"}}, 403, "options.url"),
        ({"options": {"api_key": "s3cret"}}, 403, "options.api_key"),
        ({"options": {"engine_args": {}}}, 403, "options.engine_args"),
        ({"options": {"trust_remote_code": True}}, 403, "options.trust_remote_code"),
        ({"options": {"salt": "x" * 20_000}}, 422, "options"),
        ({"name": "a b"}, 422, "name"),
        ({"name": "loglik"}, 409, "name"),
        ({"timeout_s": 0}, 422, "timeout_s"),
        ({"overlap": "maybe"}, 422, "overlap"),
        ({"state": "ready"}, 422, "state"),
    ],
)
def test_what_may_not_be_added_is_refused_by_its_field_and_leaves_no_trace(
    growing: Service, body: dict[str, Any], status: int, param: str
) -> None:
    before, events = growing.get("/arms"), growing.rows("select count(*) from events")
    answer = growing.client.post("/arms", json={"name": "refused"} | FAKE | body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param), answer.text
    assert growing.get("/arms") == before
    assert growing.rows("select count(*) from events") == events
    assert b"s3cret" not in growing.stored_bytes()


def test_what_cannot_be_changed_is_refused(growing: Service) -> None:
    assert growing.client.get("/arms/nobody").status_code == 404
    assert move(growing, "nobody", "retired").status_code == 404
    assert move(growing, "x" * 65, "retired").json()["error"]["param"] == "name"
    assert move(growing, "loglik", "gone").json()["error"]["param"] == "state"
    assert growing.client.patch("/v1/arms/nobody", json={"state": "enabled"}).status_code == 404


def test_the_last_arm_and_the_fixed_one_stay(tmp_path: Path) -> None:
    env = {"LASERVE_POLICY__NAME": "fixed:loglik"}
    with serving(tmp_path / "log", "--profile", "fake", env=env) as server:
        service = settled(Service(server, tmp_path))
        for to in ("draining", "retired"):
            assert move(service, "loglik", to).status_code == 409
        assert move(service, "consensus", "retired").status_code == 200
        assert move(service, "relevance", "draining").status_code == 200
        assert "the policy plays" in move(service, "loglik", "retired").json()["error"]["message"]


def test_a_restart_has_the_arms_as_they_were(tmp_path: Path) -> None:
    env = {"LASERVE_DATA_DIR": str(tmp_path), "LASERVE_STORAGE__KIND": "sqlite"}
    arguments = ("--profile", "fake")
    with serving(tmp_path / "first", *arguments, env=env) as server:
        service = settled(Service(server, tmp_path))
        for name in ("kept", "away"):
            added(service, name)
        service.rate(service.decide(policy="fixed:kept"), reward=1)
        move(service, "away", "retired")
        move(service, "relevance", "draining")
        add(service, "slow", options={"delay_s": 5})
        digest = service.policy()["digest"]
        server.kill()
    with serving(tmp_path / "second", *arguments, env=env) as server:
        service = settled(Service(server, tmp_path))
        states = {arm["name"]: arm["state"] for arm in service.get("/arms")["arms"]}
        assert states == {
            "loglik": "ready",
            "consensus": "ready",
            "relevance": "draining",
            "kept": "ready",
            "away": "retired",
        }
        assert service.policy()["digest"] == digest
        assert service.generate(arm="kept")["scored_by"] == "kept"
        assert move(service, "away", "enabled").status_code == 200
        until(lambda: state(service, "away") == "ready")
    with serving(
        tmp_path / "third", *arguments, env=env | {"LASERVE_SCORING__ALLOW_KINDS": '["loglik"]'}
    ) as server:
        service = settled(Service(server, tmp_path))
        kept = service.get("/arms/kept")
        assert kept["state"] == "failed"
        assert re.search("may not be added.*loglik", kept["error"])
        assert service.generate()["scored_by"] in ("loglik", "consensus")
