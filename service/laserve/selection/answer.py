"""The stages of one request: context, arm, candidates, scores, decision, storage."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field, replace

import uuid_utils

from laserve.context.features import ContextBuilder
from laserve.generation.base import Generator, Rendered
from laserve.selection.choice import Chooser
from laserve.selection.decision import Observer, Window, decide
from laserve.selection.panel import Panels, out_of_time
from laserve.selection.retention import Archive
from laserve.selection.shadow import Shadows
from laserve.types import Candidate, Decision, Request


@dataclass(kw_only=True)
class _Clock:
    """Seconds spent in each stage of one request."""

    started: float = field(default_factory=time.perf_counter)
    spent: dict[str, float] = field(default_factory=dict)
    _last: float = field(default_factory=time.perf_counter)

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.spent[stage], self._last = now - self._last, now
        self.spent["total"] = now - self.started


class Answerer:
    """The service that answers a request with the candidate that the chosen arm scores best.

    Look here for the order of the stages, and for the work that the clock counts to each.
    """

    def __init__(
        self,
        *,
        generator: Generator,
        context: ContextBuilder,
        chooser: Chooser,
        panels: Panels,
        window: Window,
        archive: Archive,
        observer: Observer,
        shadows: Shadows,
    ) -> None:
        self._generator = generator
        self._context = context
        self._chooser = chooser
        self._panels = panels
        self._window = window
        self._archive = archive
        self._observer = observer
        self._shadows = shadows

    def start(self) -> None:
        self._archive.start()

    async def close(self) -> None:
        await self._archive.close()

    async def answer(self, request: Request, *, key: str) -> AsyncGenerator[str | Candidate | Decision]:
        """The decision's id as soon as an arm is drawn, each candidate as it finishes, then the decision.

        The decision is durable when it is yielded.

        Args:
            key: name of the client's API key.

        Raises:
            InvalidRequest: the request names an unknown arm or policy, or does not fit the model.
            NoCandidate: no candidate finished within ``timeout_s``.
            Unavailable: no arm is ready, the engine failed, or the store refused the decision.
        """
        self._generator.check()
        policy = self._chooser.policy(request)
        clock = _Clock()
        decision_id = str(uuid_utils.uuid7())
        try:
            async with asyncio.timeout(request.timeout_s):
                rendered = await self._generator.render(request)
                x = await self._context.build(request, rendered.tokens)
        except TimeoutError:
            raise out_of_time(request) from None
        draw = self._chooser.draw(request, policy, x, decision_id)
        with self._panels.open(request, policy, draw) as panel:
            clock.lap("choose")
            yield decision_id

            stream = self._generate(rendered, deadline=clock.started + request.timeout_s)
            async with aclosing(stream):
                async for candidate in stream:
                    panel.add(candidate)
                    yield candidate
            clock.lap("generate")

            verdict = await panel.verdict()
            clock.lap("score")
            panel.learn(verdict, seconds=clock.spent["total"], prompt_tokens=rendered.tokens)

        decision = decide(
            request,
            key=key,
            policy=policy.name,
            rendered=rendered,
            x=x,
            draw=draw,
            verdict=verdict,
            window=self._window,
            shadowed=self._shadows.selects(decision_id),
            timings=clock.spent,
        )
        await self._archive.add(decision)
        clock.lap("store")
        timed = replace(decision, timings=clock.spent)
        self._observer.decided(timed, draw, verdict)
        if timed.shadowed:
            self._shadows.submit(request, timed)
        yield timed

    async def _generate(self, rendered: Rendered, *, deadline: float) -> AsyncGenerator[Candidate]:
        """The candidates that finish before the deadline, on the clock of `time.perf_counter`."""
        stream = self._generator.stream(rendered)
        began: float | None = time.perf_counter()
        try:
            while True:
                async with asyncio.timeout(max(deadline - time.perf_counter(), 0.0)):
                    candidate = await anext(stream, None)
                if candidate is None:
                    return
                if began is not None:
                    self._observer.first_candidate(time.perf_counter() - began)
                    began = None
                yield candidate
        except TimeoutError:
            return
        finally:
            if isinstance(stream, AsyncGenerator):
                await stream.aclose()
