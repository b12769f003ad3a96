"""The scores of one request: by the drawn arm, by others in its place, and by those that are free."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence

from laserve.arms.arms import Arms
from laserve.arms.attempt import Scored, best_of
from laserve.bandit.policies.ensembles import Ensemble
from laserve.errors import ArmFailed
from laserve.selection.verdict import Verdict
from laserve.types import Candidate, Request

#: Arm or policy -> how it combines the scores of all arms; None where it has scores of its own.
Combines = Callable[[str], Ensemble | None]


class Judging:
    """One request's way from candidates to a verdict. `close` it, whatever becomes of it.

    Args:
        drawn: name of the arm, or of an ensemble.
        combines: tells ensembles, and arms that combine others, from arms that score by themselves.
    """

    def __init__(self, arms: Arms, request: Request, drawn: str, *, combines: Combines) -> None:
        self._arms = arms
        self._request = request
        self._drawn = drawn
        self._combines = combines
        self._held = arms.ready
        self._plain = tuple(name for name in arms.eligible if combines(name) is None)
        self._scorings = {name: arms.scoring(name, request) for name in self._parts(drawn)}
        self._by_arm: dict[str, Scored] = {}
        self._failed: dict[str, str] = {}
        #: The drawn arm, where it scores by itself.
        self._alone = self._scorings.get(drawn) if combines(drawn) is None else None
        self._overlaps = self._alone is not None and self._alone.arm.overlap.choose()

    @property
    def held(self) -> tuple[str, ...]:
        """Arms that this request may ask."""
        return self._held

    def begin(self) -> None:
        """Let the drawn arm read ahead, where that pays."""
        if self._alone is not None and self._overlaps:
            self._alone.begin()

    def add(self, candidate: Candidate) -> None:
        """A candidate has finished."""
        if self._alone is not None:
            self._alone.add(candidate)

    def close(self) -> None:
        """Give up what is still under way."""
        for scoring in self._scorings.values():
            scoring.close()

    async def verdict(
        self, candidates: Sequence[Candidate], redraw: Callable[[Mapping[str, str]], str | None]
    ) -> Verdict:
        """Scores by the drawn arm, or by others in its place while it fails; free arms score as well.

        Args:
            redraw: another arm, given those that have failed and why; None when none is left.
        """
        free = [name for name in self._arms.free if name in self._held]
        await self._ask([*self._scorings, *free], candidates)
        name: str | None = self._drawn
        while name is not None and not self._settled(name, candidates):
            name = redraw(self._failed)
            if name is not None:
                await self._ask(self._parts(name), candidates)
        for other in self._held:  # those that combine what is known anyway
            if other not in self._failed and self._by_arm.keys() >= set(self._parts(other)):
                self._settled(other, candidates)
        return Verdict(scored_by=name, by_arm=self._by_arm, failed=self._failed)

    def learn(self, verdict: Verdict, *, seconds: float, tokens: int) -> None:
        """Whether reading ahead pays, where the drawn arm went through with it."""
        alone = self._alone
        if alone is not None and verdict.scored_by == self._drawn and alone.overlapping == self._overlaps:
            alone.arm.overlap.learn(self._overlaps, seconds=seconds, tokens=tokens)

    def _parts(self, name: str) -> tuple[str, ...]:
        """The arms whose scores it takes."""
        return (name,) if self._combines(name) is None else self._plain

    async def _ask(self, names: Iterable[str], candidates: Sequence[Candidate]) -> None:
        """Have arms score that have not been asked yet."""
        known = self._by_arm.keys() | self._failed.keys()
        wanted = [name for name in dict.fromkeys(names) if name not in known]
        await asyncio.gather(*(self._score(name, candidates) for name in wanted))

    async def _score(self, name: str, candidates: Sequence[Candidate]) -> None:
        scoring = self._scorings.setdefault(name, self._arms.scoring(name, self._request))
        try:
            self._by_arm[name] = await scoring.result(candidates)
        except ArmFailed as error:
            self._failed[name] = error.message

    def _settled(self, name: str, candidates: Sequence[Candidate]) -> bool:
        """Whether it has scores, combined from others if it is of that sort; else it has failed."""
        ensemble = self._combines(name)
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
