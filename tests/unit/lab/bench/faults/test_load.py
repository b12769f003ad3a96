"""Clients under faults count every attempt, and repeat what was not acknowledged."""

import json
from collections.abc import Callable

import httpx
import pytest

from laserve.errors import LaserveError
from laserve.lab.bench.faults import load
from laserve.lab.bench.faults.load import Clients, Ledger
from laserve_client import AsyncClient

OUTCOME = {"status": "recorded", "learned": True, "reward": 1.0}
Answer = Callable[[httpx.Request, int], httpx.Response]


def refusal(status: int) -> httpx.Response:
    error = {"type": "a", "code": "b", "message": "not now", "param": None}
    return httpx.Response(status, json={"error": error}, headers={"Retry-After": "60"})


def decision(number: int) -> httpx.Response:
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    body = {
        "decision_id": f"d{number}",
        "text": "1907",
        "index": 0,
        "arm": "loglik",
        "scored_by": "loglik",
        "policy": "linucb",
        "propensity": 1.0,
        "score": 0.0,
        "candidates": None,
        "why": [],
        "usage": usage,
        "timings": {},
        "truncated": False,
        "degraded": [],
    }
    return httpx.Response(200, json=body)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Callable[[Answer, int], object]:
    """Runs a client until a number of feedback is acknowledged; returns its ledger and its requests."""
    monkeypatch.setattr(load, "_PAUSE_S", 0.0)

    async def run(answer: Answer, enough: int) -> tuple[Ledger, list[httpx.Request]]:
        requests: list[httpx.Request] = []

        def handle(request: httpx.Request) -> httpx.Response:
            requests.append(request)
            return answer(request, len(requests))

        async with AsyncClient(transport=httpx.MockTransport(handle), max_retries=0) as connection:
            clients = Clients(connected=lambda: connection, count=1)

            async def there() -> bool:
                return len(clients.ledger.decisions) >= enough

            async with clients.working():
                await clients.until(there, "answers", 10)
        return clients.ledger, requests

    return run


async def test_every_attempt_is_sent_and_every_refusal_is_counted(work) -> None:
    def answer(request: httpx.Request, number: int) -> httpx.Response:
        if number % 3:
            return refusal((503, 429, 504)[number % 9 // 3])
        return decision(number) if request.url.path == "/generate" else httpx.Response(200, json=OUTCOME)

    ledger, requests = await work(answer, 2)
    assert ledger.refused.total() == sum(number % 3 > 0 for number in range(1, len(requests) + 1))
    assert set(ledger.refused) == {429, 503, 504}
    assert ledger.feedback == ledger.decisions
    sent = [json.loads(one.content) | {"key": one.headers["Idempotency-Key"]} for one in requests[3:6]]
    assert [(one["decision_id"], one["key"]) for one in sent] == [("d3", "d3")] * 3


async def test_feedback_that_gets_no_answer_is_sent_again(work) -> None:
    def answer(request: httpx.Request, number: int) -> httpx.Response:
        if request.url.path == "/generate":
            return decision(number)
        if number == 2:
            raise httpx.ReadError("broken")
        return httpx.Response(200, json=OUTCOME)

    ledger, requests = await work(answer, 1)
    assert requests[1].content == requests[2].content
    assert "d1" in ledger.feedback
    assert not ledger.refused


async def test_feedback_on_a_decision_that_is_missing_is_not_acknowledged(work) -> None:
    def answer(request: httpx.Request, number: int) -> httpx.Response:
        return decision(number) if request.url.path == "/generate" else refusal(404)

    ledger, _ = await work(answer, 2)
    assert len(ledger.decisions) >= 2
    assert ledger.feedback == set()


@pytest.mark.parametrize("status", [500, 401, 404, 422])
async def test_an_answer_that_no_client_should_get_ends_the_run(work, status: int) -> None:
    with pytest.raises(LaserveError, match=f"not now \\({status}"):
        await work(lambda request, number: refusal(status), 1)
