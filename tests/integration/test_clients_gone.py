"""Clients that leave at any moment leave nothing half done behind."""

import asyncio
import json
import random
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from acceptance.wire import samples, until
from integration.operation import FAKE, on_disk, sql, verified_digest
from laserve.api.bodies.answers import StoredDecision
from processes import Server, serving

REQUESTS = 60
FEEDBACKS = 60
#: Requests under way at once.
AT_ONCE = 10
#: Generating takes n times this, scoring as long again.
EACH_S, N = 0.03, 4
PATIENT_S = 60.0
SETTINGS = {
    "generation__engine_args": json.dumps({"delay_s": EACH_S}),
    "arms": json.dumps([{"name": "slow", "kind": "fake", "options": {"delay_s": N * EACH_S}}]),
    "policy__learn_from": "reward",
    "storage__snapshot_every": "5",
}


@dataclass
class Exchange:
    """What one client sent, when it left, and what it had by then."""

    body: dict[str, Any]
    #: Seconds after which it leaves, whatever has come.
    patience_s: float
    #: Bytes of the request that it sends before that.
    sends: int | None = None
    #: Whether it closes its connection, or drops it with what is in it.
    polite: bool = True
    received: bytes = b""
    finished: bool = False

    @property
    def answer(self) -> dict[str, Any] | None:
        """The answer, when it has come in full."""
        if not self.finished:
            return None
        head, _, body = self.received.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), self.received
        if self.body.get("stream"):
            match = re.search(rb"event: decision\r\ndata: (.*?)\r\n\r\n", body, re.DOTALL)
            assert match, self.received
            body = match[1]
        parsed: dict[str, Any] = json.loads(body)
        return parsed


@dataclass
class Crowd:
    """Clients of one server."""

    server: Server
    folder: Path
    chance: random.Random = field(default_factory=lambda: random.Random(7))

    async def send(self, path: str, exchange: Exchange) -> Exchange:
        """Send a request and read until the answer ends or the client leaves."""
        url = httpx.URL(self.server.url)
        content = json.dumps(exchange.body).encode()
        request = (
            f"POST {path} HTTP/1.1\r\nHost: {url.host}\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        ).encode() + content
        reader, writer = await asyncio.open_connection(url.host, url.port)
        try:
            writer.write(request[: exchange.sends])
            with suppress(TimeoutError):
                async with asyncio.timeout(exchange.patience_s):
                    while chunk := await reader.read(1 << 16):
                        exchange.received += chunk
                    exchange.finished = True
        finally:
            if exchange.polite:
                writer.close()
            else:
                writer.transport.abort()
        return exchange

    async def send_all(self, path: str, exchanges: list[Exchange]) -> list[Exchange]:
        turn = asyncio.Semaphore(AT_ONCE)

        async def one(exchange: Exchange) -> Exchange:
            async with turn:
                return await self.send(path, exchange)

        return await asyncio.gather(*(one(exchange) for exchange in exchanges))

    async def seconds(self, path: str, bodies: list[dict[str, Any]]) -> float:
        """The duration of these requests when they are sent at once."""
        started = time.monotonic()
        patient = [Exchange(body=body, patience_s=PATIENT_S) for body in bodies]
        assert all(exchange.answer for exchange in await self.send_all(path, patient))
        return time.monotonic() - started

    def whim(self, body: dict[str, Any], takes_s: float) -> Exchange:
        """A client that leaves at any moment of what the request takes; one of five stays to its end."""
        if self.chance.random() < 0.2:
            return Exchange(body=body, patience_s=PATIENT_S)
        whole = len(json.dumps(body)) + 90
        return Exchange(
            body=body,
            patience_s=self.chance.uniform(0, 1.3 * takes_s),
            sends=self.chance.randrange(whole) if self.chance.random() < 0.1 else None,
            polite=self.chance.random() < 0.5,
        )

    def in_flight(self) -> float:
        return samples(self.server.client.get("/metrics").text)["laserve_permits_in_use", frozenset()]


@asynccontextmanager
async def crowd(folder: Path) -> AsyncIterator[Crowd]:
    with serving(folder / "log", *FAKE, env=on_disk(folder, **SETTINGS)) as server:
        yield Crowd(server, folder)


def check_decisions(crowd: Crowd) -> set[str]:
    """Every decision in the database is whole; returns their ids."""
    rows = sql(crowd.folder, "SELECT id, created_at, key, x, record, texts FROM decisions")
    for decision_id, *columns in rows:
        assert None not in columns, decision_id
        answer = crowd.server.client.get(f"/decisions/{decision_id}")
        assert answer.status_code == 200, answer.text
        stored = StoredDecision.model_validate_json(answer.content, strict=True)
        assert len(stored.candidates or ()) == N
        assert stored.scores.keys() == stored.choices.keys() == {"slow"}
        assert stored.timings.keys() >= {"choose", "generate", "score"}
    return {row[0] for row in rows}


def check_service(crowd: Crowd) -> None:
    """Nothing is under way any more, the log is whole, and the service serves."""
    assert verified_digest(crowd.folder) == crowd.server.client.get("/policy").json()["digest"]
    answer = crowd.server.client.post("/generate", json={"prompt": "a", "n": N})
    assert (answer.status_code, answer.json()["degraded"]) == (200, [])
    assert crowd.in_flight() == 0
    assert "Traceback" not in crowd.server.output()
    assert "ERROR" not in crowd.server.output()


async def test_clients_that_leave_at_any_moment_leave_whole_decisions_or_none(tmp_path: Path) -> None:
    async with crowd(tmp_path) as here:
        body: dict[str, Any] = {"prompt": "north of the river", "n": N}
        takes_s = await here.seconds("/generate", [body] * AT_ONCE)
        before = check_decisions(here)
        done = await here.send_all(
            "/generate",
            [here.whim(body | {"stream": number % 2 == 1}, takes_s) for number in range(REQUESTS)],
        )
        await asyncio.to_thread(until, lambda: here.in_flight() == 0)

        written = check_decisions(here)
        answers = [exchange.answer for exchange in done if exchange.answer]
        assert {answer["decision_id"] for answer in answers} <= written - before
        for answer in answers:
            stored = here.server.client.get(f"/decisions/{answer['decision_id']}").json()
            assert {name: stored[name] for name in ("text", "index", "score", "candidates", "arm")} == {
                name: answer[name] for name in ("text", "index", "score", "candidates", "arm")
            }
        # Some of each form left, and some stayed: otherwise nothing was tried.
        for stream in (False, True):
            stayed = {exchange.finished for exchange in done if exchange.body["stream"] is stream}
            assert stayed == {False, True}
        assert "the client left" in here.server.output()
        await asyncio.to_thread(check_service, here)


async def test_feedback_whose_client_leaves_is_recorded_whole_or_not_at_all(tmp_path: Path) -> None:
    async with crowd(tmp_path) as here:
        body: dict[str, Any] = {"prompt": "north of the river", "n": N}
        exchanges = [Exchange(body=body, patience_s=PATIENT_S) for _ in range(FEEDBACKS + AT_ONCE)]
        answers = [exchange.answer for exchange in await here.send_all("/generate", exchanges)]
        every = [
            {"decision_id": answer["decision_id"], "reward": here.chance.random()}
            for answer in answers
            if answer
        ]
        first, later = every[:AT_ONCE], every[AT_ONCE:]
        takes_s = await here.seconds("/feedback", first)
        done = await here.send_all("/feedback", [here.whim(each, takes_s) for each in later])

        await here.seconds("/feedback", first)  # behind all that was sent before
        acknowledged = [exchange for exchange in done if exchange.answer]
        assert 0 < len(acknowledged) < FEEDBACKS
        assert all(exchange.answer["learned"] for exchange in acknowledged if exchange.answer)
        await asyncio.to_thread(check_service, here)
        rows = sql(tmp_path, "SELECT decision_id, reward, learned, body FROM feedback")
        stored = {decision_id: (reward, learned) for decision_id, reward, learned, _ in rows}
        assert len(stored) == len(rows)  # each at most once
        sent = {each["decision_id"]: (each["reward"], 1) for each in every}
        assert stored.items() <= sent.items()
        known = [exchange.body["decision_id"] for exchange in acknowledged]
        assert {*known, *(each["decision_id"] for each in first)} <= stored.keys()

        # What was not acknowledged may be sent again, and is then there once.
        patient = [Exchange(body=each, patience_s=PATIENT_S) for each in every]
        again = await here.send_all("/feedback", patient)
        statuses = {exchange.body["decision_id"]: exchange.answer for exchange in again}
        assert all(
            answer and answer["status"] == ("duplicate" if decision_id in stored else "recorded")
            for decision_id, answer in statuses.items()
        )
        assert sql(tmp_path, "SELECT count(*) FROM feedback") == [(len(every),)]
        await asyncio.to_thread(check_service, here)
