"""One request top to bottom: context, arm, candidates, scores, the best one, on disk."""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

import uuid_utils

from laserve.bandit.base import Policy
from laserve.bandit.registry import Policies
from laserve.errors import ArmFailed, NoCandidate, NotReady
from laserve.generation.base import Generator, Rendered
from laserve.metrics import Metrics
from laserve.selection.arms import Arms, Scored
from laserve.selection.context import ContextBuilder
from laserve.selection.learner import Draw, Learner
from laserve.selection.retention import Retention
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
class _Verdict:
    """Who scored a request, and how."""

    scored_by: str | None
    by_arm: Mapping[str, Scored]
    failed: Mapping[str, str]


class Answerer:
    """Answers requests with the candidate that the chosen arm scores best.

    Args:
        policy: name of the configured policy.
        tasks: tasks with a metric label of their own; others count as ``other``.
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
        metrics: Metrics,
        tasks: Sequence[str],
    ) -> None:
        self._generator = generator
        self._context = context
        self._arms = arms
        self._learner = learner
        self._policies = policies
        self._policy = policy
        self._store = store
        self._retention = retention
        self._metrics = metrics
        self._tasks = tuple(tasks)
        self._decisions: GroupCommit[Decision, None] = GroupCommit(self._commit)

    def start(self) -> None:
        self._decisions.start()

    async def close(self) -> None:
        await self._decisions.close()

    async def answer(self, request: Request, *, key: str) -> AsyncGenerator[Candidate | Decision]:
        """Yield each candidate as it finishes, and at last the decision, which is durable by then.

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
        rendered = await self._generator.render(request)
        x = await self._context.build(request, rendered.tokens)
        draw = self._draw(request, policy, x, decision_id)
        clock.lap("choose")

        finished: list[Candidate] = []
        async with aclosing(self._generate(rendered, deadline)) as stream:
            async for candidate in stream:
                finished.append(candidate)
                yield candidate
        candidates = _in_order(finished, request)
        clock.lap("generate")

        verdict = await self._score(draw, request, candidates, decision_id)
        clock.lap("score")

        decision = _decide(
            decision_id=decision_id,
            request=request,
            rendered=rendered,
            x=x,
            draw=draw,
            verdict=verdict,
            candidates=candidates,
        )
        decision = replace(decision, key=key, policy="pinned" if request.arm else policy.name)
        await self._decisions.submit(self._retention.redact(replace(decision, timings=dict(clock.spent))))
        clock.lap("store")
        decision = replace(decision, timings=dict(clock.spent))
        self._observe(decision, draw, verdict)
        yield decision

    def _check(self, request: Request) -> Policy:
        """Refuse what can be refused before anything is spent."""
        self._generator.check()
        if not self._arms.ready:
            raise NotReady("no arm is ready")
        if request.arm is not None:
            self._arms.check(request.arm)
        return self._policies.get(request.policy or self._policy)

    def _draw(self, request: Request, policy: Policy, x: Vector, decision_id: str) -> Draw:
        ready = self._arms.ready
        if request.arm is not None:
            return self._learner.pin(request.arm, x, ready)
        draw = self._learner.draw(policy, x, ready, decision_id)
        if draw is None:
            raise NotReady(
                f"the policy {policy.name!r} can choose none of the ready arms: {', '.join(ready)}"
            )
        return draw

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

    async def _score(
        self, draw: Draw, request: Request, candidates: Sequence[Candidate], decision_id: str
    ) -> _Verdict:
        """Scores by the drawn arm, or by others in its place while it fails; free arms score as well."""
        by_arm: dict[str, Scored] = {}
        failed: dict[str, str] = {}

        async def attempt(name: str) -> None:
            try:
                by_arm[name] = await self._arms.score(name, request, candidates)
            except ArmFailed as error:
                failed[name] = error.message

        arm: str | None = draw.arm
        await asyncio.gather(*(attempt(name) for name in dict.fromkeys([draw.arm, *self._arms.free])))
        while arm is not None and arm not in by_arm:
            arm = self._learner.redraw(draw, failed, decision_id)
            if arm is not None and arm not in by_arm:
                await attempt(arm)
        return _Verdict(scored_by=arm, by_arm=by_arm, failed=failed)

    async def _commit(self, batch: Sequence[Decision]) -> Sequence[None]:
        await self._store.add_decisions(batch)
        return [None] * len(batch)

    def _observe(self, decision: Decision, draw: Draw, verdict: _Verdict) -> None:
        metrics = self._metrics
        task = decision.task if decision.task in self._tasks or decision.task is None else "other"
        metrics.decisions.labels(decision.arm, decision.policy, task or "none").inc()
        for stage, seconds in decision.timings.items():
            metrics.stage_seconds.labels(stage).observe(seconds)
        for candidate in decision.candidates:
            metrics.candidates.labels(candidate.finish_reason).inc()
        metrics.tokens.labels("prompt").inc(decision.prompt_tokens)
        metrics.tokens.labels("generated").inc(sum(candidate.tokens for candidate in decision.candidates))
        for why in draw.why:
            metrics.arm_mean.labels(why.arm).set(why.mean)
            metrics.arm_width.labels(why.arm).set(why.width)
        if decision.propensity is not None:
            metrics.propensity.observe(decision.propensity)
            metrics.model_regret.observe(draw.regret)
            metrics.explored.inc(draw.explored)
        if decision.scored_by not in (None, decision.arm):
            metrics.rm_fallback.labels(decision.arm).inc()
        if decision.scored_by and (margin := verdict.by_arm[decision.scored_by].margin) is not None:
            metrics.rm_margin.labels(decision.scored_by).observe(margin)
        metrics.truncated.inc(decision.truncated)
        for reason in decision.degraded:
            metrics.degraded.labels(reason.partition(":")[0]).inc()


def _in_order(finished: Sequence[Candidate], request: Request) -> tuple[Candidate, ...]:
    """Candidates by index; where some are missing, those that are there are numbered anew."""
    if not finished:
        raise NoCandidate(
            f"timeout_s: no candidate finished within {request.timeout_s:g} s", param="timeout_s"
        )
    ordered = sorted(finished, key=lambda candidate: candidate.index)
    return tuple(replace(candidate, index=index) for index, candidate in enumerate(ordered))


def _decide(
    *,
    decision_id: str,
    request: Request,
    rendered: Rendered,
    x: Vector,
    draw: Draw,
    verdict: _Verdict,
    candidates: tuple[Candidate, ...],
) -> Decision:
    first_with: dict[str, int] = {}
    for candidate in candidates:
        first_with.setdefault(candidate.text, candidate.index)
    winner = verdict.by_arm[verdict.scored_by] if verdict.scored_by else None
    index = winner.best if winner else max(candidates, key=lambda c: (c.mean_logprob, -c.index)).index
    return Decision(
        id=decision_id,
        created_at=time.time(),
        key="",
        policy="",
        arm=draw.arm,
        propensity=draw.propensity,
        scored_by=verdict.scored_by,
        why=draw.why,
        log_position=draw.log_position,
        x=x,
        task=request.task,
        sampling=rendered.sampling,
        index=index,
        score=None if winner is None else float(winner.scores[index]),
        choices={arm: scored.best for arm, scored in verdict.by_arm.items()},
        scores={arm: scored.values() for arm, scored in verdict.by_arm.items()},
        same_text=tuple(first_with[candidate.text] for candidate in candidates),
        prompt_tokens=rendered.tokens,
        truncated=rendered.truncated,
        degraded=_shortfalls(request, verdict, candidates),
        timings={},
        candidates=candidates,
        metadata=request.metadata,
        request=_texts(request),
    )


def _shortfalls(request: Request, verdict: _Verdict, candidates: Sequence[Candidate]) -> tuple[str, ...]:
    reasons = [f"arm_failed: {name}: {why}" for name, why in verdict.failed.items()]
    if verdict.scored_by is None:
        reasons.append("unscored: every arm failed; best mean log-probability")
    if len(candidates) < request.sampling.n:
        reasons.append(f"timeout: {len(candidates)} of {request.sampling.n} candidates finished in time")
    return tuple(reasons)


def _texts(request: Request) -> dict[str, Any]:
    """What the client asked, as JSON values."""
    if request.question is not None:
        documents = [{"title": document.title, "text": document.text} for document in request.documents]
        return {"question": request.question, "documents": documents}
    if request.messages:
        return {"messages": [{"role": m.role, "content": m.content} for m in request.messages]}
    return {"prompt": request.prompt}
