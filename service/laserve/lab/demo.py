"""``laserve demo``: questions sent to a running service, feedback on its answers, tables."""

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np

from laserve.config.secrets import public_text
from laserve.errors import ConfigError, LaserveError
from laserve.lab.asking import Answered, ask_all, by_references, refusing
from laserve.lab.data import needs, reading
from laserve.lab.data.built_in import built_in
from laserve.lab.data.documents import cut
from laserve.lab.data.row import Row
from laserve.lab.output import Table, counted, show, write_json
from laserve_client import Arm, AsyncClient, ConnectionFailed, LaserveClientError

logger = logging.getLogger(__name__)

_TIMEOUT_S = 600.0


async def run(
    *,
    url: str,
    api_key: str | None,
    data: Path | None,
    rows: int | None,
    documents: int | None,
    passages: int | None,
    n: int,
    concurrency: int,
    out: Path | None,
    strict: bool = False,
) -> None:
    """Drive the service at `url` and print the tables.

    Args:
        data: file of rows for `needs.asking`; None for the built-in questions.
        rows: number of questions to use, the first ones; None for all.
        documents: documents that each question keeps, the one with the answer among them.
        passages: passages that each question keeps of its documents, one with the answer among them.
        n: candidates for each question.
        concurrency: questions in flight at once.
        out: where to write the figures as JSON.
        strict: whether a record that cannot be read is an error.

    Raises:
        ConfigError: there is no service at `url`, it is not ready, or no row of `data` has right answers.
        InvalidRequest: the file cannot be read, or a record cannot and `strict` is set.
        LaserveError: the service refused all questions, or a feedback.
    """
    questions = [
        cut(row, documents=documents, passages=passages) for row in _questions(data, strict=strict)[:rows]
    ]
    async with _client(url, api_key) as client:
        await _check_ready(client, url)
        with refusing():
            before = await client.policy()
        references = by_references(questions, before.learn_from)
        given = await ask_all(client, questions, n=n, concurrency=concurrency, references=references)
        with refusing():
            arms, after = await client.arms(), await client.policy()
    answered = [one for one in given if one is not None]
    if not answered:
        raise LaserveError("the service refused all questions")
    _tell_unlearned(answered, after.learn_from)
    figures = summarise(answered) | {
        "questions": len(answered),
        "n": n,
        "events": after.log_position - before.log_position,
        "learned": sum(one.learned for one in answered),
        "metrics": dict(Counter(row.metric for row, one in zip(questions, given, strict=True) if one)),
    }
    show(*_tables(figures, arms))
    if out:
        await asyncio.to_thread(write_json, out, figures)


def _questions(data: Path | None, *, strict: bool) -> list[Row]:
    """The rows of the file that have right answers; a warning counts the others by reason."""
    if data is None:
        return built_in()
    (file,) = reading.read([data], strict=strict)
    questions, _ = needs.required(file, needs.asking, "be asked")
    return questions


def _tell_unlearned(answered: Sequence[Answered], learn_from: str | None) -> None:
    """Warn if the policy did not learn from all feedback."""
    lost = sum(not one.learned for one in answered)
    if lost:
        logger.warning(
            "the policy learned nothing from %d of %d answers: it learns from %s alone",
            lost,
            len(answered),
            learn_from,
        )


def _client(url: str, api_key: str | None) -> AsyncClient:
    try:
        return AsyncClient(url, api_key, timeout=_TIMEOUT_S)
    except ValueError as error:
        raise ConfigError(public_text(f"--url, --api-key: {error}")) from error


async def _check_ready(client: AsyncClient, url: str) -> None:
    try:
        readiness = await client.ready()
    except ConnectionFailed as error:
        message = f"no service at {url}: {error}; start one: laserve serve"
        raise ConfigError.at("--url", public_text(message)) from error
    except LaserveClientError as error:
        raise ConfigError.at(
            "--url", public_text(f"no laserve at {url}: {shorten(str(error), 200)}")
        ) from error
    if readiness.status != "ready":
        why = "; ".join(f"{part}: {reason}" for part, reason in readiness.why.items()) or readiness.status
        raise ConfigError.at("--url", public_text(f"the service at {url} is not ready: {why}"))


def summarise(answered: Sequence[Answered]) -> dict[str, Any]:
    """Figures of a run: quality in [0, 1] of returned, average and best candidates, and by arm."""
    names = sorted({name for one in answered for name in one.choices})
    return {
        "quality": {
            "returned": _mean([one.qualities[one.index] for one in answered]),
            "average_candidate": _mean([float(np.mean(one.qualities)) for one in answered]),
            "best_possible": _mean([max(one.qualities) for one in answered]),
        },
        "arms": {
            name: {
                "share": _mean([float(one.arm == name) for one in answered]),
                "reward": _mean([one.qualities[one.index] for one in answered if one.arm == name]),
                "alone": _mean([one.qualities[one.choices[name]] for one in answered if name in one.choices]),
                "alone_on": sum(name in one.choices for one in answered),
            }
            for name in names
        },
    }


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _tables(figures: dict[str, Any], arms: Sequence[Arm]) -> list[Table]:
    learned = {arm.name: arm.mean_reward for arm in arms}
    measure = "F1" if {*figures["metrics"]} == {"f1"} else "quality"
    asked = counted(figures["questions"], "question")
    by_arm = Table(
        title=f"{asked}, n = {figures['n']}, {figures['learned']} learned from",
        columns=(
            "arm",
            "share %",
            f"{measure} when chosen",
            f"{measure} had it always chosen",
            "on",
            "mean reward so far",
        ),
        rows=[
            (
                name,
                *(_percent(row[key]) for key in ("share", "reward", "alone")),
                f"{row['alone_on']}/{figures['questions']}",
                _percent(learned.get(name)),
            )
            for name, row in figures["arms"].items()
        ],
    )
    quality = figures["quality"]
    overall = Table(
        title=f"{measure.capitalize()} against the right answers",
        columns=("returned answers", "average candidate", "best possible"),
        rows=[[_percent(quality[key]) for key in ("returned", "average_candidate", "best_possible")]],
        names=0,
    )
    return [by_arm, overall]
