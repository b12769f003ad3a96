"""The panel of a request: the drawn arm, others in its place, and the arms that are free."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from laserve.arms.arms import Arms
from laserve.arms.attempt import Scored, best_of
from laserve.arms.blends import Blends
from laserve.bandit.policies.base import Policy
from laserve.bandit.policies.ensembles import Ensemble
from laserve.errors import ArmFailed, NoCandidate
from laserve.eventlog.learner import Draw
from laserve.selection.verdict import Verdict
from laserve.types import Candidate, Request


class Panels:
    """The panels of all requests, made of the arms that are ready when a request is drawn for."""

    def __init__(self, *, arms: Arms, blends: Blends) -> None:
        self._arms = arms
        self._blends = blends

    @contextmanager
    def seated(self, request: Request, policy: Policy | Ensemble, draw: Draw) -> Iterator["Panel"]:
        """The panel of one request; within the block its arms stay loaded, after it their work has ended."""
        panel = Panel(request, policy, draw, arms=self._arms, blends=self._blends)
        with self._arms.holding(panel.held):
            try:
                panel.begin()
                yield panel
            finally:
                panel.close()


class Panel:
    """One request's way from candidates to a verdict.

    Look here for which arms score a request, what happens when the drawn one fails, and when it reads ahead.
    """

    def __init__(
        self, request: Request, policy: Policy | Ensemble, draw: Draw, *, arms: Arms, blends: Blends
    ) -> None:
        self._request = request
        self._draw = draw
        self._arms = arms
        #: Arms that this request may ask.
        self.held = arms.ready
        self._attempts = {name: arms.scoring(name, request) for name in self.held}
        #: Arm or policy -> how it combines the scores of others.
        self._ensembles = blends.ensembles(request.task)
        if isinstance(policy, Ensemble):
            self._ensembles[policy.name] = policy
        #: Arms whose scores are combined.
        self._combined = tuple(name for name in blends.alone if name not in self._ensembles)
        #: The drawn arm, where it scores by itself.
        self._alone = None if draw.arm in self._ensembles else self._attempts[draw.arm]
        self._overlaps = self._alone is not None and self._alone.arm.overlap.choose()
        self._finished: list[Candidate] = []
        self._by_arm: dict[str, Scored] = {}
        self._failed: dict[str, str] = {}

    def begin(self) -> None:
        """Let the drawn arm read ahead, where that pays."""
        if self._alone is not None and self._overlaps:
            self._alone.begin()

    def add(self, candidate: Candidate) -> None:
        """Take a candidate that has finished."""
        self._finished.append(candidate)
        if self._alone is not None:
            self._alone.add(candidate)

    def close(self) -> None:
        """Give up what is still under way."""
        for attempt in self._attempts.values():
            attempt.close()

    async def verdict(self) -> Verdict:
        """Scores by the drawn arm, or by others in its place while it fails; free arms score as well.

        Raises:
            NoCandidate: none has finished.
        """
        candidates = in_order(self._finished, self._request)
        free = [name for name in self._arms.free if name in self.held]
        await self._ask([*self._parts(self._draw.arm), *free], candidates)
        name: str | None = self._draw.arm
        while name is not None and not self._settled(name, candidates):
            name = self._draw.without(self._failed)
            if name is not None:
                await self._ask(self._parts(name), candidates)
        for other in self.held:  # those that combine what is known anyway
            if other not in self._failed and self._by_arm.keys() >= set(self._parts(other)):
                self._settled(other, candidates)
        return Verdict(
            candidates=candidates,
            wanted=self._request.sampling.n,
            scored_by=name,
            by_arm=self._by_arm,
            failed=self._failed,
        )

    def learn(self, verdict: Verdict, *, seconds: float, prompt_tokens: int) -> None:
        """Learn whether reading ahead pays, where the drawn arm went through with it."""
        alone = self._alone
        if alone is not None and verdict.scored_by == alone.arm.name and alone.overlapping == self._overlaps:
            tokens = prompt_tokens + sum(candidate.tokens for candidate in verdict.candidates)
            alone.arm.overlap.learn(self._overlaps, seconds=seconds, tokens=tokens)

    def _parts(self, name: str) -> tuple[str, ...]:
        """The arms whose scores it takes."""
        return self._combined if name in self._ensembles else (name,)

    async def _ask(self, names: Iterable[str], candidates: Sequence[Candidate]) -> None:
        """Have arms score that have not been asked yet."""
        known = self._by_arm.keys() | self._failed.keys()
        wanted = [name for name in dict.fromkeys(names) if name not in known]
        await asyncio.gather(*(self._score(name, candidates) for name in wanted))

    async def _score(self, name: str, candidates: Sequence[Candidate]) -> None:
        try:
            self._by_arm[name] = await self._attempts[name].result(candidates)
        except ArmFailed as error:
            self._failed[name] = error.message

    def _settled(self, name: str, candidates: Sequence[Candidate]) -> bool:
        """Whether it has scores, combined from others if it is of that sort; else it has failed."""
        ensemble = self._ensembles.get(name)
        if name not in self._by_arm and ensemble is not None:
            mine = {part: self._by_arm[part] for part in self._parts(name) if part in self._by_arm}
            if mine:
                self._by_arm[name] = together(ensemble, mine, candidates)
            else:
                self._failed[name] = "no arm scored that it could combine"
        return name in self._by_arm


def together(ensemble: Ensemble, parts: Mapping[str, Scored], candidates: Sequence[Candidate]) -> Scored:
    """What an ensemble makes of its parts' scores."""
    scores = ensemble.combine({name: scored.scores for name, scored in parts.items()})
    truncated = any(scored.truncated for scored in parts.values())
    return Scored(scores=scores, best=best_of(scores, candidates), truncated=truncated)


def in_order(finished: Sequence[Candidate], request: Request) -> tuple[Candidate, ...]:
    """Candidates by index; where some are missing, those that are there are numbered anew."""
    if not finished:
        raise out_of_time(request)
    ordered = sorted(finished, key=lambda candidate: candidate.index)
    return tuple(replace(candidate, index=index) for index, candidate in enumerate(ordered))


def out_of_time(request: Request) -> NoCandidate:
    """The error of a request of which nothing has finished in time."""
    return NoCandidate(f"timeout_s: no candidate finished within {request.timeout_s:g} s", param="timeout_s")
