"""A service with a fixed clock and fixed ids of decisions: on it a script writes the same log each time."""

import asyncio
import json
import math
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack, aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, is_dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import numpy as np
import uuid_utils

from nets.parts import (
    Decision,
    DefaultRewards,
    Event,
    LogWriter,
    Store,
    create_app,
    load,
    load_settings,
    make_service,
    make_store,
    running,
)

#: Unix seconds at which every script starts, and between two of its steps.
_START, _STEP_S = 1_750_000_000.0, 1.25
#: How far rounding may take a number from the recorded one; a context is a product of float32 matrices.
_RELATIVE, _ABSOLUTE = 1e-5, 1e-6
#: Values of decisions, and of events' bodies, that come from linear algebra.
_IN_DECISIONS = ("x", "why", "propensity", "score")
_IN_EVENTS = {"blend", "replaced_blend", "prior_mean"}
_LISTS = (list, tuple, np.ndarray)


@dataclass(kw_only=True)
class Play:
    """What a script plays on.

    Args:
        folder: the data folder of the service.
        recorded: the store of the recorded log, where this is a repetition. What comes from linear algebra
            must agree with what is recorded as far as the processor's rounding allows, and then gives way to
            it; all else must be the same to the byte.
    """

    folder: Path
    recorded: Store | None = None
    now: float = _START
    #: Settings of the service that ran last.
    settings: dict[str, Any] = field(default_factory=dict)
    _ids: int = 0

    @contextmanager
    def _fixed(self) -> Iterator[None]:
        """Time and ids as the script has them."""
        with ExitStack() as stack:
            stack.enter_context(patch.object(time, "time", lambda: self.now))
            stack.enter_context(patch.object(uuid_utils, "uuid7", self._next_id))
            # Whatever module wires the service, it is the one of `make_service`.
            wiring = {"make_store": lambda settings: _Store(make_store(settings), self)}
            stack.enter_context(patch.dict(make_service.__globals__, wiring))
            yield

    def _next_id(self) -> str:
        self._ids += 1
        return f"0197755e-0000-7000-8000-{self._ids:012d}"

    @asynccontextmanager
    async def service(self, **settings: Any) -> AsyncIterator["Client"]:
        """A loaded service of the fake profile, which the script speaks to over HTTP.

        Args:
            settings: sections by name.
        """
        self.settings = settings
        self.now += _STEP_S
        folder = {"data_dir": str(self.folder)}
        storage = {"storage": {"kind": "sqlite"} | settings.get("storage", {})}
        with self._fixed():
            service = make_service(load_settings(profile="fake", flags=settings | folder | storage))
            async with running(service):
                await load(service)
                defaults = DefaultRewards(store=service.store, log=service.log, metrics=service.metrics)
                transport = httpx.ASGITransport(create_app(service))
                async with httpx.AsyncClient(transport=transport, base_url="http://golden") as http:
                    yield Client(play=self, http=http, defaults=defaults)


@dataclass(kw_only=True)
class Client:
    """A client of the service. Each of its steps comes a little later than the one before."""

    play: Play
    http: httpx.AsyncClient
    defaults: DefaultRewards

    async def generate(self, **body: Any) -> str:
        """The id of a decision on a request of four candidates, or as many as the body names."""
        answer = await self._send("POST", "/generate", {"n": 4} | body)
        return str(answer["decision_id"])

    async def feedback(
        self, decision_id: str, *, key: str | None = None, status: str | int = "recorded", **body: Any
    ) -> None:
        """A feedback, and what must become of it: its status in the answer, or that of a refusal."""
        headers = {} if key is None else {"Idempotency-Key": key}
        code = status if isinstance(status, int) else 200
        answer = await self._send(
            "POST", "/feedback", {"decision_id": decision_id} | body, headers=headers, code=code
        )
        if code == 200 and answer["status"] != status:
            raise AssertionError(f"{body} on {decision_id}: {answer['status']}, not {status}")

    async def batch(self, *lines: Mapping[str, Any]) -> None:
        """Many feedbacks at once, which are committed together."""
        self.play.now += _STEP_S
        content = "".join(json.dumps(line) + "\n" for line in lines)
        answer = (await self.http.post("/feedback/batch", content=content)).raise_for_status()
        statuses = [json.loads(line)["status"] for line in answer.text.splitlines()]
        if statuses != ["recorded"] * len(lines):
            raise AssertionError(f"a batch: {statuses}")

    async def add_arm(self, name: str, **settings: Any) -> None:
        """A new arm that has loaded."""
        await self._send("POST", "/arms", {"name": name, "kind": "fake"} | settings, code=202)
        await self._until_loaded(name)

    async def move_arm(self, name: str, state: str) -> None:
        """An arm in another state, loaded where it is enabled."""
        await self._send("PATCH", f"/arms/{name}", {"state": state})
        if state == "enabled":
            await self._until_loaded(name)

    async def wait(self, seconds: float) -> None:
        """Let the script's time pass; default rewards that fall due are learned."""
        self.play.now += seconds
        await self.defaults.learn_due()

    async def policy(self) -> dict[str, Any]:
        """What ``GET /policy`` says; no time passes."""
        answer = (await self.http.get("/policy")).raise_for_status()
        body: dict[str, Any] = answer.json()
        return body

    async def _until_loaded(self, name: str) -> None:
        async with asyncio.timeout(30):
            while (await self.http.get(f"/arms/{name}")).json()["state"] != "ready":
                await asyncio.sleep(0.005)

    async def _send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any],
        *,
        headers: Mapping[str, str] | None = None,
        code: int = 200,
    ) -> dict[str, Any]:
        self.play.now += _STEP_S
        answer = await self.http.request(method, path, json=body, headers=headers)
        if answer.status_code != code:
            raise AssertionError(f"{method} {path} {body}: {answer.status_code}, not {code}: {answer.text}")
        told: dict[str, Any] = answer.json()
        return told


class _Store:
    """A store by the script's clock, which rounds as the recorded log did where there is one."""

    def __init__(self, store: Store, play: Play) -> None:
        self._store = store
        self._play = play

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator["_Writer"]:
        async with self._store.writing() as writer:
            yield _Writer(writer, self._play)

    async def due(self, limit: int) -> Sequence[str]:
        """By the machine's clock all are due, since scripts play in the past."""
        found = [await self._store.decision(decision_id) for decision_id in await self._store.due(limit)]
        return [each.id for each in found if each.due_at is not None and each.due_at < self._play.now]

    async def add_decisions(self, decisions: Sequence[Decision]) -> None:
        await self._store.add_decisions([await self._rounded(decision) for decision in decisions])

    async def add_scores(
        self,
        decision_id: str,
        *,
        choices: Mapping[str, int],
        scores: Mapping[str, Sequence[float | None]],
    ) -> None:
        if self._play.recorded is not None:
            known = await self._play.recorded.decision(decision_id)
            scores = {arm: _rounded(known.scores.get(arm), values) for arm, values in scores.items()}
        await self._store.add_scores(decision_id, choices=choices, scores=scores)

    async def _rounded(self, made: Decision) -> Decision:
        """A decision with the recorded roundings; how long its stages took is the recording's as well."""
        if self._play.recorded is None:
            return made
        known = await self._play.recorded.decision(made.id)
        scores = {arm: _rounded(known.scores.get(arm), values) for arm, values in made.scores.items()}
        values = {name: _rounded(getattr(known, name), getattr(made, name)) for name in _IN_DECISIONS}
        return replace(made, timings=known.timings, scores=scores, **values)


class _Writer:
    """One transaction by the script's clock."""

    def __init__(self, writer: LogWriter, play: Play) -> None:
        self._writer = writer
        self._play = play

    def __getattr__(self, name: str) -> Any:
        return getattr(self._writer, name)

    async def now(self) -> float:
        return self._play.now

    async def append(self, event: Event) -> Event:
        return await self._writer.append(await self._rounded(event))

    async def _rounded(self, made: Event) -> Event:
        """An event with the recorded roundings."""
        if self._play.recorded is None:
            return made
        async with aclosing(self._play.recorded.events(after=await self._writer.tip())) as events:
            known = await anext(events, made)
        values = {
            name: _rounded(known.body.get(name), made.body[name]) for name in _IN_EVENTS & made.body.keys()
        }
        return replace(made, body={**made.body, **values})


def _rounded(known: Any, made: Any) -> Any:
    """The recorded value where the one that was made differs from it by rounding alone."""
    return known if _agree(known, made) else made


def _agree(known: Any, made: Any) -> bool:
    if is_dataclass(known) and is_dataclass(made):
        return _agree(vars(known), vars(made))
    if isinstance(known, Mapping) and isinstance(made, Mapping):
        return known.keys() == made.keys() and all(_agree(known[name], made[name]) for name in known)
    if isinstance(known, _LISTS) and isinstance(made, _LISTS):
        return len(known) == len(made) and all(map(_agree, known, made))
    if isinstance(known, float) and isinstance(made, float):
        return math.isclose(known, made, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE)
    return bool(known == made)
