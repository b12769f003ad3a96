"""``laserve demo``: questions sent to a running service, answers sent back as feedback, tables."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from laserve import textmetrics
from laserve.config.secrets import public_text
from laserve.errors import ConfigError, LaserveError
from laserve.lab.data.questions import Question, built_in, read
from laserve.lab.output import Table, show, write_json
from laserve.lab.progress import progress

_TIMEOUT_S = 600.0


@dataclass(frozen=True, kw_only=True)
class Answered:
    """The service's answer to one question."""

    #: Arm whose scores chose the answer; None when every arm failed.
    arm: str | None
    #: F1 of each candidate against the right answers.
    qualities: tuple[float, ...]
    #: Index of the returned candidate.
    index: int
    #: Each arm that scored the request -> index of the candidate that it would have returned.
    choices: dict[str, int]


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
) -> None:
    """Drive the service at `url` and print the tables.

    Args:
        data: questions as JSON lines; None for the built-in ones.
        rows: number of questions to use, the first ones; None for all.
        documents: documents that each question keeps, the one with the answer among them.
        passages: passages that each question keeps of its documents, one with the answer among them.
        n: candidates for each question.
        concurrency: questions in flight at once.
        out: where to write the figures as JSON.

    Raises:
        ConfigError: there is no service at `url`, or it is not ready.
        LaserveError: the service refused a question or a feedback.
    """
    questions = (read(data) if data else built_in())[:rows]
    sources = {question.id: question.source for question in questions}
    if documents:
        questions = [question.cut(documents) for question in questions]
    if passages:
        questions = [question.passages(passages) for question in questions]
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=_TIMEOUT_S) as client:
        await _check_ready(client)
        before = (await _call(client, "GET", "/policy"))["log_position"]
        answered = await _ask_all(client, questions, sources, n=n, concurrency=concurrency)
        arms = (await _call(client, "GET", "/arms"))["arms"]
        after = (await _call(client, "GET", "/policy"))["log_position"]
    figures = summarise(answered) | {"questions": len(questions), "n": n, "events": after - before}
    show(*_tables(figures, arms))
    if out:
        await asyncio.to_thread(write_json, out, figures)


def summarise(answered: Sequence[Answered]) -> dict[str, Any]:
    """Figures of a run: F1 in [0, 1] of the returned, the average and the best candidates, and by arm."""
    names = sorted({name for one in answered for name in one.choices})
    return {
        "f1": {
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


async def _ask_all(
    client: httpx.AsyncClient,
    questions: Sequence[Question],
    sources: Mapping[str, str],
    *,
    n: int,
    concurrency: int,
) -> list[Answered]:
    """Send all questions; `sources`, question id -> source, goes into the log as metadata."""
    gate = asyncio.Semaphore(concurrency)
    with progress("asking", len(questions)) as report:

        async def one(question: Question) -> Answered:
            async with gate:
                answered = await _ask(client, question, n, sources[question.id])
            report.advance()
            return answered

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(question)) for question in questions]
        except* LaserveError as errors:
            raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


async def _ask(client: httpx.AsyncClient, question: Question, n: int, source: str) -> Answered:
    body: dict[str, Any] = {
        "question": question.question,
        "documents": [{"title": document.title, "text": document.text} for document in question.documents],
        "n": n,
        "metadata": {"id": question.id, "source": source},
    }
    if question.task:
        body["task"] = question.task
    answer = await _call(client, "POST", "/generate", body)
    decision_id = answer["decision_id"]
    await _call(
        client, "POST", "/feedback", {"decision_id": decision_id, "references": list(question.answers)}
    )
    stored = await _call(client, "GET", f"/decisions/{decision_id}")
    texts = [candidate["text"] for candidate in answer["candidates"]]
    return Answered(
        arm=answer["scored_by"],
        qualities=tuple(textmetrics.best("f1", text, question.answers) for text in texts),
        index=answer["index"],
        choices=stored["choices"],
    )


async def _check_ready(client: httpx.AsyncClient) -> None:
    try:
        answer = await client.get("/readyz")
    except httpx.HTTPError as error:
        raise ConfigError.at(
            "--url", public_text(f"no service at {client.base_url}: {error}; start one: laserve serve")
        ) from error
    if answer.status_code != 200:
        raise ConfigError.at(
            "--url", public_text(f"the service at {client.base_url} is not ready: {answer.text}")
        )


async def _call(client: httpx.AsyncClient, method: str, path: str, body: Any = None) -> Any:
    """One call, repeated after `Retry-After` while the service answers 429."""
    while True:
        try:
            answer = await client.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise LaserveError(f"{method} {path}: {error!r}") from error
        if answer.status_code != 429:
            break
        await asyncio.sleep(float(answer.headers.get("Retry-After", 1)))
    if answer.is_error:
        raise LaserveError(f"{method} {path}: {answer.status_code}: {answer.text}")
    return answer.json()


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _tables(figures: dict[str, Any], arms: Sequence[dict[str, Any]]) -> list[Table]:
    learned = {arm["name"]: arm["mean_reward"] for arm in arms}
    by_arm = Table(
        title=f"{figures['questions']} questions, n = {figures['n']}, {figures['events']} events learned",
        columns=("arm", "share %", "F1 when chosen", "F1 had it always chosen", "on", "mean reward so far"),
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
    overall = Table(
        title="F1 against the right answers",
        columns=("returned answers", "average candidate", "best possible"),
        rows=[[_percent(figures["f1"][key]) for key in ("returned", "average_candidate", "best_possible")]],
        names=0,
    )
    return [by_arm, overall]
