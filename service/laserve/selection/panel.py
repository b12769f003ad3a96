"""The panel of a request: the drawn arm, the fallback arms that replace it, and the free arms."""

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
    """The source of panels: each has the arms that are ready when its request opens it."""

    def __init__(self, *, arms: Arms, blends: Blends) -> None:
        self._arms = arms
        self._blends = blends

    @contextmanager
    def open(self, request: Request, policy: Policy | Ensemble, draw: Draw) -> Iterator["Panel"]:
        """The panel of one request; its arms stay loaded within the block, and their work ends with it."""
        panel = Panel(request, policy, draw, arms=self._arms, blends=self._blends)
        with self._arms.holding(panel.members):
            try:
                panel.begin()
                yield panel
            finally:
                panel.close()


class Panel:
    """The arms that score one request, and their scores.

    Look here for which arms score a request, the fallback when the drawn arm fails, and when that arm reads
    ahead.
    """

    def __init__(
        self, request: Request, policy: Policy | Ensemble, draw: Draw, *, arms: Arms, blends: Blends
    ) -> None:
        self._request = request
        self._draw = draw
        self._arms = arms
        #: Arms that may score this request.
        self.members = arms.ready
        self._attempts = {name: arms.attempt(name, request) for name in self.members}
        #: Arm or policy that combines the scores of other arms -> its ensemble.
        self._ensembles = blends.ensembles(request.task)
        if isinstance(policy, Ensemble):
            self._ensembles[policy.name] = policy
        #: Arms whose scores the ensembles combine.
        self._combined = tuple(name for name in blends.alone if name not in self._ensembles)
        #: The drawn arm's attempt; None where that arm is an ensemble.
        self._drawn = None if draw.arm in self._ensembles else self._attempts[draw.arm]
        self._overlaps = self._drawn is not None and self._drawn.arm.overlap.choose()
        self._finished: list[Candidate] = []
        self._by_arm: dict[str, Scored] = {}
        self._failed: dict[str, str] = {}

    def begin(self) -> None:
        """Let the drawn arm read ahead, where reading ahead is expected to be faster."""
        if self._drawn is not None and self._overlaps:
            self._drawn.begin()

    def add(self, candidate: Candidate) -> None:
        """Add a candidate that has finished."""
        self._finished.append(candidate)
        if self._drawn is not None:
            self._drawn.add(candidate)

    def close(self) -> None:
        """Cancel the attempts that are still under way."""
        for attempt in self._attempts.values():
            attempt.close()

    async def verdict(self) -> Verdict:
        """The scores of the drawn arm, or of the next arm drawn when one fails, and of the free arms.

        Raises:
            NoCandidate: no candidate has finished.
        """
        candidates = in_order(self._finished, self._request)
        free = [name for name in self._arms.free if name in self.members]
        await self._score_missing([*self._parts(self._draw.arm), *free], candidates)
        name: str | None = self._draw.arm
        while name is not None and not self._has_scores(name, candidates):
            name = self._draw.without(self._failed)
            if name is not None:
                await self._score_missing(self._parts(name), candidates)
        for other in self.members:  # an ensemble whose parts have all scored costs nothing
            if other not in self._failed and self._by_arm.keys() >= set(self._parts(other)):
                self._has_scores(other, candidates)
        return Verdict(
            candidates=candidates,
            wanted=self._request.sampling.n,
            scored_by=name,
            by_arm=self._by_arm,
            failed=self._failed,
        )

    def learn(self, verdict: Verdict, *, seconds: float, prompt_tokens: int) -> None:
        """Learn whether reading ahead is faster, where the drawn arm scored in the way that was chosen."""
        drawn = self._drawn
        if drawn is not None and verdict.scored_by == drawn.arm.name and drawn.overlapping == self._overlaps:
            tokens = prompt_tokens + sum(candidate.tokens for candidate in verdict.candidates)
            drawn.arm.overlap.learn(self._overlaps, seconds=seconds, tokens=tokens)

    def _parts(self, name: str) -> tuple[str, ...]:
        """The arms whose scores this arm needs: itself, or the parts of an ensemble."""
        return self._combined if name in self._ensembles else (name,)

    async def _score_missing(self, names: Iterable[str], candidates: Sequence[Candidate]) -> None:
        """Score by those of the arms that have neither scored nor failed."""
        done = self._by_arm.keys() | self._failed.keys()
        missing = [name for name in dict.fromkeys(names) if name not in done]
        await asyncio.gather(*(self._score(name, candidates) for name in missing))

    async def _score(self, name: str, candidates: Sequence[Candidate]) -> None:
        try:
            self._by_arm[name] = await self._attempts[name].result(candidates)
        except ArmFailed as error:
            self._failed[name] = error.message

    def _has_scores(self, name: str, candidates: Sequence[Candidate]) -> bool:
        """Whether the arm has scores; an ensemble's are combined here. An arm without scores has failed."""
        ensemble = self._ensembles.get(name)
        if name not in self._by_arm and ensemble is not None:
            parts = {part: self._by_arm[part] for part in self._parts(name) if part in self._by_arm}
            if parts:
                self._by_arm[name] = combined(ensemble, parts, candidates)
            else:
                self._failed[name] = "no arm scored that it could combine"
        return name in self._by_arm


def combined(ensemble: Ensemble, parts: Mapping[str, Scored], candidates: Sequence[Candidate]) -> Scored:
    """The scores of an ensemble, from the scores of its parts."""
    scores = ensemble.combine({name: scored.scores for name, scored in parts.items()})
    truncated = any(scored.truncated for scored in parts.values())
    return Scored(scores=scores, best=best_of(scores, candidates), truncated=truncated)


def in_order(finished: Sequence[Candidate], request: Request) -> tuple[Candidate, ...]:
    """The candidates by index, renumbered without gaps. Raises NoCandidate when none has finished."""
    if not finished:
        raise out_of_time(request)
    ordered = sorted(finished, key=lambda candidate: candidate.index)
    return tuple(replace(candidate, index=index) for index, candidate in enumerate(ordered))


def out_of_time(request: Request) -> NoCandidate:
    """The error of a request without a candidate at its deadline."""
    return NoCandidate(f"timeout_s: no candidate finished within {request.timeout_s:g} s", param="timeout_s")
