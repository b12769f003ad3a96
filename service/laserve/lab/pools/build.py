"""Building of a pool from rows, with the parts and in the order of a service request.

Render, x, candidates, scores: the steps of `laserve.selection.answer`, but every arm scores, and no answer
is chosen; replayed policies choose later.
"""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from laserve import __version__
from laserve.config import Settings
from laserve.config.secrets import public
from laserve.errors import ArmFailed, ConfigError, InvalidRequest, LaserveError, Unscorable
from laserve.lab.data.row import CORRECTNESS, PREFERENCE, REWARD, Answer, Row
from laserve.lab.pools.checkpoint import Checkpoint
from laserve.lab.pools.held_out import Seen
from laserve.lab.pools.pool import Pool, PoolArm, PoolQuestion, Recipe, write
from laserve.lab.progress import progress
from laserve.selection.panel import in_order
from laserve.serve.lifespan import generating
from laserve.serve.wiring import make_service
from laserve.service import Service
from laserve.types import Candidate, Request, Sampling, Vector

logger = logging.getLogger(__name__)

#: Timeout of an arm in seconds: no user waits, and a busy machine must not cost scores.
_PATIENCE_S = 3600.0
#: Seconds before each repeat of a failed call of an arm; its engine may be restarting.
PAUSES_S = (1.0, 5.0, 30.0)
#: Kind of arms that need the log-probabilities of the candidates.
_LOGLIK = "loglik"


@dataclass(frozen=True, kw_only=True)
class Builder:
    """Builder of a pool's questions on a running service."""

    service: Service
    recipe: Recipe
    seen: Seen

    async def question(self, row: Row) -> PoolQuestion:
        """One row, with the scores of every arm that was not trained on it.

        The candidates are the row's stored answers, if there are two or more; otherwise they are sampled.

        Raises:
            InvalidRequest: the row does not fit the generator.
            Unavailable: the engine failed.
        """
        stored = shuffled(row) if len(row.answers) > 1 else ()
        request = _request(row, self.service.settings, stored=len(stored))
        rendered = await self.service.generator.render(request)
        x = await self.service.context.build(request, rendered.tokens)
        known = not stored or bool(row.logprobs)
        if stored:
            candidates = _candidates(stored, known=known)
            qualities = [answer.quality for answer in stored]
        else:
            finished = [candidate async for candidate in self.service.generator.stream(rendered)]
            candidates = in_order(finished, request)
            qualities = [row.quality(candidate.text) for candidate in candidates]
        names = [arm.name for arm in self.recipe.arms]
        scores = await asyncio.gather(
            *(self._scores(arm, row, request, candidates, known=known) for arm in self.recipe.arms)
        )
        return PoolQuestion(
            id=row.id,
            file=row.file,
            task=_task(row),
            source=row.source,
            metric=_metric(row) if stored else row.metric,
            x=x,
            logprobs=np.array([candidate.logprob if known else np.nan for candidate in candidates]),
            tokens=tuple(0 if stored else candidate.tokens for candidate in candidates),
            qualities=np.array(qualities),
            scores=dict(zip(names, scores, strict=True)),
            texts=tuple(candidate.text for candidate in candidates),
        )

    async def _scores(
        self, arm: PoolArm, row: Row, request: Request, candidates: Sequence[Candidate], *, known: bool
    ) -> Vector:
        """Scores by an arm, shape (n,); all NaN if the arm must not, or cannot, score the row."""
        nothing = np.full(len(candidates), np.nan)
        if self.seen.has(arm.name, id=row.id, source=row.source) or (arm.kind == _LOGLIK and not known):
            return nothing
        for pause_s in (*PAUSES_S, None):
            try:
                return (await self.service.arms.score(arm.name, request, candidates)).scores
            except Unscorable as error:
                logger.warning("arm %s has no score of %s: %s", arm.name, row.key, error.message)
                return nothing
            except ArmFailed as error:
                logger.warning("arm %s cannot score %s: %s", arm.name, row.key, error.message)
            if pause_s is not None:
                await asyncio.sleep(pause_s)
        return nothing


async def build(
    settings: Settings,
    rows: Sequence[Row],
    *,
    out: Path,
    left_out: Mapping[str, int] | None = None,
    seen: Seen | None = None,
    at_once: int = 4,
) -> Pool:
    """Build a pool and write it; an interrupted run is resumed.

    Args:
        out: the parquet file; finished questions are kept beside it, in a file ``.part``, until all are done.
        left_out: reason -> number of rows that are left out already; stored in the pool.
        seen: rows that arms were trained on; an arm does not score its training rows.
        at_once: rows that are built concurrently.

    Raises:
        ConfigError: a setting is wrong, two rows have one key, no arm or no row is left, or the checkpoint
            was made with other settings.
        Unavailable: the engine failed; the next run resumes the build.
    """
    if len({row.key for row in rows}) < len(rows):
        raise ConfigError.at("--data", "two files have the same name and ids; rename one")
    async with generating(make_service(_patient(settings))) as service:
        recipe = _recipe(service)
        builder = Builder(service=service, recipe=recipe, seen=seen or Seen())
        with Checkpoint(out, recipe) as checkpoint:
            unfit = await _build_all(builder, rows, checkpoint, at_once)
    questions = tuple(checkpoint.done[row.key] for row in rows if row.key in checkpoint.done)
    if not questions:
        raise ConfigError.at("--data", "no question fits the generator")
    pool = Pool(recipe=recipe, questions=questions, left_out={**(left_out or {}), **unfit})
    await asyncio.to_thread(write, pool, out)
    checkpoint.finish()
    return pool


async def _build_all(
    builder: Builder, rows: Sequence[Row], checkpoint: Checkpoint, at_once: int
) -> dict[str, int]:
    """Reason -> rows that could not be built."""
    gate = asyncio.Semaphore(at_once)
    left_out: Counter[str] = Counter()
    missing = [row for row in rows if row.key not in checkpoint.done]
    with progress("building", len(rows), done=len(rows) - len(missing)) as report:

        async def one(row: Row) -> None:
            async with gate:
                try:
                    checkpoint.add(await builder.question(row))
                except InvalidRequest as error:
                    logger.warning("%s of %s is left out: %s", row.id, row.file, error.message)
                    left_out["does not fit the generator"] += 1
            report.advance()

        try:
            async with asyncio.TaskGroup() as group:
                for row in missing:
                    group.create_task(one(row))
        except* LaserveError as errors:
            raise errors.exceptions[0] from None
    return dict(left_out)


def _patient(settings: Settings) -> Settings:
    """Settings with a long timeout for arms and circuits that never open."""
    arms = tuple(
        arm.model_copy(update={"timeout_s": _PATIENCE_S, "circuit_failures": 10**9}) for arm in settings.arms
    )
    return settings.model_copy(update={"arms": arms})


def _recipe(service: Service) -> Recipe:
    settings = service.settings
    arms = []
    for arm in settings.arms:
        loaded = service.arms.get(arm.name)
        if loaded is not None and loaded.usable and service.blends.scores_alone(arm.name):
            arms.append(
                PoolArm(name=arm.name, kind=arm.kind, options=public(arm.options), free=loaded.model.free)
            )
    generation = settings.generation
    sampling: dict[str, Any] = generation.defaults.model_dump(exclude={"timeout_s"})
    return Recipe(
        arms=tuple(arms),
        generator=generation.model_dump(include={"kind", "model", "dtype", "max_model_len"}),
        sampling=sampling,
        context=service.context.fingerprint(),
        features=service.context.names,
        laserve=__version__,
    )


def _request(row: Row, settings: Settings, *, stored: int) -> Request:
    """The row as a client's request with the settings' defaults.

    Args:
        stored: number of stored answers that are the candidates; 0 if they are sampled.
    """
    defaults = settings.generation.defaults
    if stored:
        sampling = replace(row.request.sampling, n=stored, temperature=defaults.temperature)
    else:
        sampling = Sampling(
            n=defaults.n,
            temperature=defaults.temperature,
            top_p=defaults.top_p,
            max_tokens=defaults.max_tokens,
        )
    return replace(row.request, sampling=sampling, task=_task(row))


def _task(row: Row) -> str:
    """Task of the row; its first domain, or its file's name, where the row does not say."""
    return row.task or next(iter(row.domains), row.file)


def _metric(row: Row) -> str:
    """Metric of stored answers. That of right answers in the same row is about other answers."""
    return row.metric if row.metric in (PREFERENCE, CORRECTNESS) else REWARD


def shuffled(row: Row) -> tuple[Answer, ...]:
    """The row's stored answers, shuffled by its id.

    Files list the better answer first, or order answers by model, so the index would favour a scorer that
    breaks ties by it.
    """
    answers = list(row.answers)
    random.Random(row.id).shuffle(answers)  # noqa: S311 - reproducible order
    return tuple(answers)


def _candidates(answers: Sequence[Answer], *, known: bool) -> tuple[Candidate, ...]:
    """The answers as candidates; `known` says whether all of them have a log-probability."""
    logprobs = [(known and answer.logprob) or 0.0 for answer in answers]
    return tuple(
        Candidate(index=index, text=answer.text, finish_reason="stop", tokens=1, logprob=logprob)
        for index, (answer, logprob) in enumerate(zip(answers, logprobs, strict=True))
    )
