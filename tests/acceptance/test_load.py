"""Many requests, one too many, and clients that do not wait."""

import asyncio
import time
from typing import Any

import httpx
import pytest

from acceptance.busy import SLOW_S, busy
from acceptance.wire import Service, samples

pytestmark = pytest.mark.timed


async def in_flight(client: httpx.AsyncClient) -> float:
    answer = await client.get("/metrics")
    return samples(answer.text)["laserve_permits_in_use", frozenset()]


async def until_in_flight(client: httpx.AsyncClient, wanted: float, timeout_s: float = 10.0) -> None:
    async with asyncio.timeout(timeout_s):
        while await in_flight(client) != wanted:
            await asyncio.sleep(0.01)  # between two questions to a real process


@pytest.mark.parametrize("stream", [False, True])
def test_one_request_too_many_is_refused_with_the_time_to_come_back(narrow: Service, stream: bool) -> None:
    with busy(narrow):
        written = narrow.decisions()
        answer = narrow.client.post("/generate", json={"prompt": "a", "arm": "loglik", "stream": stream})
        assert answer.status_code == 429
        assert answer.headers["content-type"] == "application/json"
        assert int(answer.headers["retry-after"]) >= 1
        error = answer.json()["error"]
        assert (error["type"], error["code"]) == ("rate_limit_error", "overloaded")
        assert "server.max_concurrent_requests" in error["message"]
        assert narrow.decisions() == written
        # Only decisions take permits.
        assert narrow.client.get("/policy").status_code == 200
    assert narrow.generate(arm="loglik")["arm"] == "loglik"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_ends_its_request_and_no_decision_is_written(
    narrow: Service, stream: bool
) -> None:
    written = narrow.decisions()
    body = {"prompt": "a", "n": 2, "arm": "slow", "stream": stream}
    async with httpx.AsyncClient(base_url=narrow.server.url, timeout=30) as watching:
        started = time.monotonic()
        async with httpx.AsyncClient(base_url=narrow.server.url, timeout=30) as leaving:
            request = asyncio.create_task(leaving.post("/generate", json=body))
            await until_in_flight(watching, 1)
            assert not request.done()
            request.cancel()
            await asyncio.gather(request, return_exceptions=True)
        await until_in_flight(watching, 0, timeout_s=SLOW_S / 2)
        assert time.monotonic() - started < SLOW_S  # it was ended, not finished
        # By now it would have been answered, had it gone on.
        while time.monotonic() < started + SLOW_S + 0.5:
            assert narrow.decisions() == written
            assert await in_flight(watching) == 0
    assert "the client left" in narrow.server.output()
    assert "Traceback" not in narrow.server.output()
    assert narrow.generate(arm="loglik")["degraded"] == []  # the permit came back
    assert narrow.decisions() == written + 1


async def test_a_client_that_leaves_between_two_events_ends_its_stream(narrow: Service) -> None:
    written = narrow.decisions()
    body = {"prompt": "a", "n": 3, "arm": "slow", "stream": True}
    async with httpx.AsyncClient(base_url=narrow.server.url, timeout=30) as watching:
        started = time.monotonic()
        async with (
            httpx.AsyncClient(base_url=narrow.server.url, timeout=30) as leaving,
            leaving.stream("POST", "/generate", json=body) as answer,
        ):
            lines = answer.aiter_lines()  # held, for the connection closes with it
            assert (await anext(lines)).startswith(": decision ")  # the stream begins when it is taken
            assert [await anext(lines) for _ in range(2)][1] == "event: candidate"
            assert await in_flight(watching) == 1
        await until_in_flight(watching, 0, timeout_s=SLOW_S / 2)
        assert time.monotonic() - started < SLOW_S
        while time.monotonic() < started + SLOW_S + 0.5:
            assert narrow.decisions() == written
            assert await in_flight(watching) == 0
    assert "Traceback" not in narrow.server.output()


async def test_fifty_requests_at_once_are_all_answered_and_all_their_feedback_is_learned(
    main: Service,
) -> None:
    before = main.policy()
    written = main.decisions()

    async def one(client: httpx.AsyncClient, index: int) -> tuple[str, Any]:
        body = {"prompt": f"request {index} of many", "n": 4}
        answer = await client.post("/generate", json=body)
        assert answer.status_code == 200, answer.text
        decision = answer.json()
        reply = await client.post(
            "/feedback", json={"decision_id": decision["decision_id"], "reward": index / 50}
        )
        assert reply.status_code == 200, reply.text
        assert reply.json() == {"status": "recorded", "learned": True, "reward": index / 50}
        return decision["decision_id"], decision["scored_by"]

    with main.watching() as change:
        limits = httpx.Limits(max_connections=50)
        async with httpx.AsyncClient(base_url=main.server.url, timeout=60, limits=limits) as client:
            done = await asyncio.gather(*(one(client, index) for index in range(50)))

    after = main.policy()
    assert after["log_position"] == before["log_position"] + 50
    assert after["decisions"] == before["decisions"] + 50
    assert main.decisions() == written + 50
    assert len({decision_id for decision_id, _ in done}) == 50
    assert change("laserve_feedback_total", kind="reward", outcome="recorded") == 50
    assert main.sample("laserve_permits_in_use") == 0
    positions = [main.decision(decision_id)["feedback"][0]["position"] for decision_id, _ in done]
    assert sorted(positions) == list(range(before["log_position"] + 1, after["log_position"] + 1))
    pulls = {arm["name"]: arm["pulls"] for arm in before["arms"]}
    assert {arm["name"]: arm["pulls"] - pulls[arm["name"]] for arm in after["arms"]} == {
        name: [scored_by for _, scored_by in done].count(name) for name in pulls
    }


async def test_the_same_feedback_sent_many_times_at_once_is_recorded_once(main: Service) -> None:
    decision_id = main.decide()
    position = main.policy()["log_position"]
    async with httpx.AsyncClient(base_url=main.server.url, timeout=60) as client:
        body = {"decision_id": decision_id, "reward": 0.5}
        answers = await asyncio.gather(*(client.post("/feedback", json=body) for _ in range(20)))
    assert sorted(answer.json()["status"] for answer in answers) == ["duplicate"] * 19 + ["recorded"]
    assert main.policy()["log_position"] == position + 1


def test_an_answer_on_a_kept_connection_is_not_held_back(main: Service) -> None:
    def seconds() -> float:
        started = time.perf_counter()
        assert main.client.get("/healthz").status_code == 200
        return time.perf_counter() - started

    # An answer in two packets waits 40 ms for the first to be acknowledged, each time, unless TCP_NODELAY.
    assert min(seconds() for _ in range(20)) < 0.03
