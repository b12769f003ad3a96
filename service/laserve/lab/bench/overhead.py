"""Benchmark of laserve's overhead: the whole service with fakes, and a bare endpoint, in one run.

Both run behind uvicorn and are called in turn over one connection each, so that a noisy machine disturbs both
alike. The bare endpoint parses an equal body and answers with as many bytes. httpx sends the requests, since
`laserve_client` would add the time of reading the answers, which only laserve gives.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import uvicorn
from fastapi import FastAPI

from laserve.api.app import create_app
from laserve.api.bodies.answers import DecisionBody, UsageBody
from laserve.api.bodies.requests import GenerateBody
from laserve.config import load
from laserve.lab.output import Table, machine, show, write_json
from laserve.lab.progress import progress
from laserve.serve.lifespan import load as load_service
from laserve.serve.lifespan import running
from laserve.serve.wiring import make_service

_BODY = {
    "question": "When was the bridge of Orrin opened?",
    "documents": [{"title": "Orrin", "text": "The bridge of Orrin was opened in 1907. " * 20}] * 5,
    "n": 8,
}
_WARM_UP = 20


def run(*, requests: int, out: Path | None) -> None:
    """Measure, print a table, and write the figures to `out`.

    Keys: ``bare_ratio`` (median of laserve over median of the bare endpoint), ``p50_ms`` and ``p99_ms`` of
    laserve, ``bare_p50_ms``, ``feedback_p50_ms``, ``requests``, ``machine``.

    Args:
        requests: requests to each of the two.
        out: JSON file.
    """
    figures = asyncio.run(_measure(requests))
    shown = {name: f"{value:.2f}" for name, value in figures.items() if isinstance(value, float)}
    title = f"{requests} requests each, n = {_BODY['n']}"
    show(
        Table(title=title, columns=list(shown), rows=[list(shown.values())], names=0),
        figures["machine"],
    )
    if out:
        write_json(out, figures)


async def _measure(requests: int) -> dict[str, Any]:
    service = make_service(load(profile="fake", flags={"storage": {"kind": "memory"}}))
    async with running(service):
        await load_service(service)
        async with _served(create_app(service)) as ours, _served(_bare()) as bare:
            seconds: dict[str, list[float]] = {"ours": [], "bare": [], "feedback": []}
            for _ in range(_WARM_UP):
                await _timed(ours, "/generate", _BODY)
                await _timed(bare, "/generate", _BODY)
            with progress("measuring", requests) as report:
                for _ in range(requests):
                    spent, answer = await _timed(ours, "/generate", _BODY)
                    seconds["ours"].append(spent)
                    seconds["bare"].append((await _timed(bare, "/generate", _BODY))[0])
                    feedback = {"decision_id": answer["decision_id"], "reward": 0.5}
                    seconds["feedback"].append((await _timed(ours, "/feedback", feedback))[0])
                    report.advance()
    p50 = {name: float(np.median(values)) * 1000 for name, values in seconds.items()}
    return {
        "bare_ratio": p50["ours"] / p50["bare"],
        "p50_ms": p50["ours"],
        "p99_ms": float(np.percentile(seconds["ours"], 99)) * 1000,
        "bare_p50_ms": p50["bare"],
        "feedback_p50_ms": p50["feedback"],
        "requests": requests,
        "machine": machine(),
    }


async def _timed(client: httpx.AsyncClient, path: str, body: dict[str, Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    answer = await client.post(path, json=body)
    spent = time.perf_counter() - started
    answer.raise_for_status()
    return spent, answer.json()


def _bare() -> FastAPI:
    app = FastAPI()
    answer = DecisionBody(
        decision_id="0" * 36,
        text="1907",
        index=0,
        arm="loglik",
        scored_by="loglik",
        policy="linucb",
        propensity=1.0,
        score=0.0,
        candidates=[],
        why=[],
        usage=UsageBody(prompt_tokens=1, completion_tokens=1, total_tokens=2),
        timings={},
        truncated=False,
        degraded=["x" * 1500],
    )

    @app.post("/generate")
    async def generate(body: GenerateBody) -> DecisionBody:
        return answer

    return app


@asynccontextmanager
async def _served(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the app on a free port of this machine."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, access_log=False, lifespan="off")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        yield client
    server.should_exit = True
    await serving
