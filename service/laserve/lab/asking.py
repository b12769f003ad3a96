"""Questions asked of a running service, and feedback on its answers."""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from laserve.api.bodies.requests import MAX_REFERENCE, MAX_REFERENCES
from laserve.errors import LaserveError
from laserve.lab.data.row import Row
from laserve.lab.progress import progress
from laserve_client import (
    AsyncClient,
    Decision,
    InvalidRequest,
    LaserveClientError,
    Overloaded,
)

logger = logging.getLogger(__name__)

#: Metrics by which the service itself compares candidates with right answers.
METRICS = ("f1", "exact_match", "rouge_l")


@dataclass(frozen=True, kw_only=True)
class Answered:
    """The service's answer to one question."""

    #: Arm whose scores chose the answer; None when every arm failed.
    arm: str | None
    #: Quality of each candidate by the row's metric, in [0, 1].
    qualities: tuple[float, ...]
    #: Index of the returned candidate.
    index: int
    #: Each arm that scored the request -> index of the candidate that it would have returned.
    choices: Mapping[str, int]
    #: Whether the policy learned from the feedback.
    learned: bool


@contextmanager
def refusing() -> Iterator[None]:
    """LaserveError instead of the client's errors."""
    try:
        yield
    except LaserveClientError as error:
        raise LaserveError(str(error)) from error


def by_references(rows: Sequence[Row], learn_from: str | None) -> bool:
    """Whether feedback is right answers, as far as possible, rather than the quality of each candidate.

    A policy learns from feedback of one kind, that of its first. A new policy learns from right answers if
    the service can measure the answers to all rows by them.

    Args:
        learn_from: kind of feedback that the policy learns from; None before the first.
    """
    return learn_from == "references" or (learn_from is None and all(map(_is_measured, rows)))


def _is_measured(row: Row) -> bool:
    """Whether the service can measure answers to the row as `Row.quality` does."""
    fit = all(0 < len(reference) <= MAX_REFERENCE for reference in row.references)
    return row.metric in METRICS and not row.first_line and fit and len(row.references) <= MAX_REFERENCES


async def ask_all(
    client: AsyncClient, rows: Sequence[Row], *, n: int, concurrency: int, references: bool
) -> list[Answered | None]:
    """Ask all questions, and send feedback on each answer.

    Args:
        n: candidates for each question.
        concurrency: questions under way at once.
        references: as `by_references` returns it.

    Returns:
        The answers; None for a question that the service refused.

    Raises:
        LaserveError: the service did not answer, or refused a feedback.
    """
    gate = asyncio.Semaphore(concurrency)
    with progress("asking", len(rows)) as report:

        async def one(row: Row) -> Answered | None:
            async with gate:
                with refusing():
                    answered = await _ask(client, row, n=n, references=references)
            report.advance()
            return answered

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(row)) for row in rows]
        except* LaserveError as errors:
            raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


async def _ask(client: AsyncClient, row: Row, *, n: int, references: bool) -> Answered | None:
    try:
        decision = await _generate(client, _request(row, n))
    except InvalidRequest as error:
        logger.warning("%s of %s is left out: the service refused it: %s", row.id, row.file, error)
        return None
    qualities = tuple(row.quality(candidate.text or "") for candidate in decision.candidates or ())
    if references and _is_measured(row):
        feedback: dict[str, Any] = {"references": row.references, "metric": row.metric}
    else:
        feedback = {"candidate_rewards": qualities}
    outcome = await client.feedback(decision.decision_id, **feedback)
    if outcome.reward is None or abs(outcome.reward - qualities[decision.index]) > 1e-6:
        raise LaserveError(
            f"the service read quality {qualities[decision.index]:g} as {outcome.reward}; "
            "its feedback.reward_range must be 0 to 1"
        )
    stored = await client.decision(decision.decision_id)
    return Answered(
        arm=decision.scored_by,
        qualities=qualities,
        index=decision.index,
        choices=stored.choices,
        learned=outcome.learned,
    )


async def _generate(client: AsyncClient, request: Mapping[str, Any]) -> Decision:
    """The decision; while the service has no capacity, the request is sent again when the service says."""
    while True:
        try:
            return await client.generate(**request)
        except Overloaded as error:
            await asyncio.sleep(error.retry_after or 1)


def _request(row: Row, n: int) -> dict[str, Any]:
    """Arguments of `AsyncClient.generate`."""
    return {
        "question": row.request.question,
        "documents": [asdict(document) for document in row.request.documents] or None,
        "messages": [asdict(message) for message in row.request.messages] or None,
        "prompt": row.request.prompt,
        "n": n,
        "task": row.task,
        "metadata": {"id": row.id, "source": row.source},
    }
