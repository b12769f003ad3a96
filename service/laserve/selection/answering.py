"""One request top to bottom: context, arm, candidates, scores, the best one, on disk."""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field, replace

import uuid_utils

from laserve.bandit.base import Policy
from laserve.bandit.combining import Ensemble
from laserve.bandit.registry import Policies
from laserve.errors import ArmFailed, NotReady
from laserve.generation.base import Generator, Rendered
from laserve.selection.arms import Arms
from laserve.selection.context import ContextBuilder
from laserve.selection.deciding import Verdict, decide, in_order, out_of_time
from laserve.selection.learner import Draw, Learner
from laserve.selection.observing import Observer
from laserve.selection.retention import Retention
from laserve.selection.scoring import Scored, Scoring, best_of
from laserve.selection.shadowing import Shadows
from laserve.selection.window import Window
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


@dataclass(frozen=True, kw_only=True)
class _Attempt:
    """The drawn arm at work on one request, or all arms for an ensemble."""

    draw: Draw
    request: Request
    #: Arms that this request may ask.
    held: tuple[str, ...]
    scorings: tuple[Scoring, ...]
    #: What makes one verdict of several.
    ensemble: Ensemble | None
    #: Whether the arm was to read ahead.
    overlaps: bool

    def add(self, candidate: Candidate) -> None:
        for scoring in self.scorings:
            scoring.add(candidate)

    def learn(self, verdict: Verdict, *, seconds: float, tokens: int) -> None:
        """Whether reading ahead pays, where the drawn arm went through with it."""
        scoring = self.scorings[0]
        if verdict.scored_by == scoring.arm.name and scoring.overlapping == self.overlaps:
            scoring.arm.overlap.learn(self.overlaps, seconds=seconds, tokens=tokens)

    def combined(self, by_arm: Mapping[str, Scored], candidates: Sequence[Candidate]) -> dict[str, Scored]:
        """The ensemble's verdict under its name, if some arm has scored."""
        asked = {each.arm.name for each in self.scorings}
        mine = {name: scored for name, scored in by_arm.items() if name in asked}
        if self.ensemble is None or not mine:
            return {}
        scores = self.ensemble.combine({name: scored.scores for name, scored in mine.items()})
        truncated = any(scored.truncated for scored in mine.values())
        best = best_of(scores, candidates)
        return {self.ensemble.name: Scored(scores=scores, best=best, truncated=truncated)}


class Answerer:
    """Answers requests with the candidate that the chosen arm scores best.

    Args:
        policy: name of the configured policy.
    """

    def __init__(
        self,
        *,
        generator: Generator,
        context: ContextBuilder,
        arms: Arms,
        learner: Learner,
        policies: Policies,
        policy: str,
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
        self._policy = policy
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
        with self._attempt(draw, request, policy) as attempt:
            clock.lap("choose")
            yield decision_id

            finished: list[Candidate] = []
            async with aclosing(self._generate(rendered, deadline)) as stream:
                async for candidate in stream:
                    attempt.add(candidate)
                    finished.append(candidate)
                    yield candidate
            candidates = in_order(finished, request)
            clock.lap("generate")

            verdict = await self._score(attempt, candidates, decision_id)
            clock.lap("score")
            tokens = rendered.tokens + sum(candidate.tokens for candidate in candidates)
            attempt.learn(verdict, seconds=clock.spent["total"], tokens=tokens)

        decision = decide(
            decision_id=decision_id,
            request=request,
            rendered=rendered,
            x=x,
            draw=draw,
            verdict=verdict,
            candidates=candidates,
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
        self._observer.decided(decision, draw, verdict)
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
        return self._policies.get(request.policy or self._policy)

    @contextmanager
    def _attempt(self, draw: Draw, request: Request, policy: Policy | Ensemble) -> Iterator[_Attempt]:
        """The drawn arm at work, beside all that may take its place; its work ends with the block."""
        held = self._arms.ready
        ensemble = policy if isinstance(policy, Ensemble) and request.arm is None else None
        with self._arms.holding(held):
            names = (draw.arm,) if ensemble is None else self._arms.eligible
            scorings = tuple(self._arms.scoring(name, request) for name in names)
            overlaps = ensemble is None and scorings[0].arm.overlap.choose()
            try:
                if overlaps:
                    scorings[0].begin()
                yield _Attempt(
                    draw=draw,
                    request=request,
                    held=held,
                    scorings=scorings,
                    ensemble=ensemble,
                    overlaps=overlaps,
                )
            finally:
                for scoring in scorings:
                    scoring.close()

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

    async def _score(self, attempt: _Attempt, candidates: Sequence[Candidate], decision_id: str) -> Verdict:
        """Scores by the drawn arm, or by others in its place while it fails; free arms score as well."""
        by_arm: dict[str, Scored] = {}
        failed: dict[str, str] = {}
        draw, asked = attempt.draw, {scoring.arm.name for scoring in attempt.scorings}

        async def ask(scoring: Scoring) -> None:
            try:
                by_arm[scoring.arm.name] = await scoring.result(candidates)
            except ArmFailed as error:
                failed[scoring.arm.name] = error.message

        free = [name for name in self._arms.free if name in attempt.held and name not in asked]
        others = (self._arms.scoring(name, attempt.request) for name in free)
        await asyncio.gather(*map(ask, attempt.scorings), *map(ask, others))
        by_arm |= attempt.combined(by_arm, candidates)
        scored_by: str | None = draw.arm
        while scored_by is not None and scored_by not in by_arm:
            scored_by = self._learner.redraw(draw, failed, decision_id)
            if scored_by is not None and scored_by not in by_arm:
                await ask(self._arms.scoring(scored_by, attempt.request))
        return Verdict(scored_by=scored_by, by_arm=by_arm, failed=failed)

    async def _commit(self, batch: Sequence[Decision]) -> Sequence[None]:
        await self._store.add_decisions(batch)
        return [None] * len(batch)
