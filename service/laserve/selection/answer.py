"""One request top to bottom: context, arm, candidates, scores, the best one, on disk."""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field, replace

import uuid_utils

from laserve.arms.arms import Arms
from laserve.bandit.policies.base import Policy
from laserve.bandit.policies.ensembles import Ensemble
from laserve.bandit.policies.registry import Policies
from laserve.context.features import ContextBuilder
from laserve.errors import NotReady
from laserve.eventlog.learner import Draw, Learner
from laserve.generation.base import Generator, Rendered
from laserve.selection.decision import Observer, Window, decide, in_order, out_of_time, shortfalls_of
from laserve.selection.panel import Judging
from laserve.selection.retention import Retention
from laserve.selection.shadow import Shadows
from laserve.storage.base import Store
from laserve.storage.batching import GroupCommit
from laserve.types import Candidate, Decision, Request, Vector


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
    """Answers requests with the candidate that the chosen arm scores best."""

    def __init__(
        self,
        *,
        generator: Generator,
        context: ContextBuilder,
        arms: Arms,
        learner: Learner,
        policies: Policies,
        store: Store,
        retention: Retention,
        observer: Observer,
        window: Window,
        shadows: Shadows,
    ) -> None:
        self._generator = generator
        self._context = context
        self._arms = arms
        self._learner = learner
        self._policies = policies
        self._store = store
        self._retention = retention
        self._observer = observer
        self._window = window
        self._shadows = shadows
        self._decisions: GroupCommit[Decision, None] = GroupCommit(self._commit)

    def start(self) -> None:
        self._decisions.start()

    async def close(self) -> None:
        await self._decisions.close()

    async def answer(self, request: Request, *, key: str) -> AsyncGenerator[str | Candidate | Decision]:
        """Yield the decision's id once the request is taken, each candidate as it finishes, and the decision.

        The decision is durable by then.

        Args:
            key: name of the API key that asks.

        Raises:
            InvalidRequest: the request names an unknown arm or policy, or does not fit the model.
            NoCandidate: nothing finished by ``timeout_s``.
            Unavailable: no arm is ready, the engine failed, or the store refused.
        """
        policy = self._check(request)
        clock = _Clock()
        deadline = clock.started + request.timeout_s
        decision_id = str(uuid_utils.uuid7())
        try:
            async with asyncio.timeout(request.timeout_s):
                rendered = await self._generator.render(request)
                x = await self._context.build(request, rendered.tokens)
        except TimeoutError:
            raise out_of_time(request) from None
        draw = self._draw(request, policy, x, decision_id)
        with self._judging(draw, request, policy) as judging:
            clock.lap("choose")
            yield decision_id

            finished: list[Candidate] = []
            async with aclosing(self._generate(rendered, deadline)) as stream:
                async for candidate in stream:
                    judging.add(candidate)
                    finished.append(candidate)
                    yield candidate
            candidates = in_order(finished, request)
            clock.lap("generate")

            verdict = await judging.verdict(
                candidates, lambda failed: self._learner.redraw(draw, failed, decision_id)
            )
            clock.lap("score")
            tokens = rendered.tokens + sum(candidate.tokens for candidate in candidates)
            judging.learn(verdict, seconds=clock.spent["total"], tokens=tokens)

        shortfalls = shortfalls_of(request, verdict, candidates)
        decision = decide(
            decision_id=decision_id,
            request=request,
            rendered=rendered,
            x=x,
            draw=draw,
            verdict=verdict,
            candidates=candidates,
            shortfalls=shortfalls,
        )
        decision = self._window.open(
            replace(
                decision,
                key=key,
                policy="pinned" if request.arm else policy.name,
                shadowed=draw.propensity is not None and self._shadows.wants(decision_id),
            )
        )
        await self._decisions.submit(self._retention.redact(replace(decision, timings=dict(clock.spent))))
        clock.lap("store")
        decision = replace(decision, timings=dict(clock.spent))
        self._observer.decided(decision, draw, verdict, shortfalls)
        if decision.shadowed:
            self._shadows.submit(request, decision)
        yield decision

    def _check(self, request: Request) -> Policy | Ensemble:
        """Refuse what can be refused before anything is spent."""
        self._generator.check()
        if not self._arms.ready:
            raise NotReady("no arm is ready")
        if request.arm is not None:
            self._arms.check(request.arm)
        return self._policies.configured if request.policy is None else self._policies.get(request.policy)

    @contextmanager
    def _judging(self, draw: Draw, request: Request, policy: Policy | Ensemble) -> Iterator[Judging]:
        """The drawn arm at work, beside all that may take its place; its work ends with the block."""

        def combines(name: str) -> Ensemble | None:
            if isinstance(policy, Ensemble) and name == policy.name:
                return policy
            arm = self._arms.get(name)
            return self._learner.blend(name, request.task) if arm is not None and arm.combines else None

        judging = Judging(self._arms, request, draw.arm, combines=combines)
        with self._arms.holding(judging.held):
            try:
                judging.begin()
                yield judging
            finally:
                judging.close()

    def _draw(self, request: Request, policy: Policy | Ensemble, x: Vector, decision_id: str) -> Draw:
        ready = self._arms.ready
        if request.arm is not None:
            self._arms.check(request.arm)  # it may have been drained since
            return self._learner.pin(request.arm, x, ready)
        if isinstance(policy, Ensemble):
            return self._learner.pin(policy.name, x, ready)
        for arms in (
            self._arms.eligible,
            ready,
        ):  # a policy of one arm draws it also when its circuit is open
            draw = self._learner.draw(policy, x, arms, decision_id)
            if draw is not None:
                return draw
        raise NotReady(f"the policy {policy.name!r} can choose none of the ready arms: {', '.join(ready)}")

    async def _generate(self, rendered: Rendered, deadline: float) -> AsyncGenerator[Candidate]:
        """Candidates until all have finished or the deadline passes."""
        stream = self._generator.stream(rendered)
        try:
            while True:
                async with asyncio.timeout(max(deadline - time.perf_counter(), 0.0)):
                    candidate = await anext(stream, None)
                if candidate is None:
                    return
                yield candidate
        except TimeoutError:
            return
        finally:
            if isinstance(stream, AsyncGenerator):
                await stream.aclose()

    async def _commit(self, batch: Sequence[Decision]) -> Sequence[None]:
        await self._store.add_decisions(batch)
        return [None] * len(batch)
