"""Questions asked of the service: feedback of one kind, by which the policy learns."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from builders import make_documents, make_request, make_row
from laserve.api.app import create_app
from laserve.errors import LaserveError
from laserve.lab.asking import Answered, ask_all, by_references
from laserve.lab.data.row import Row
from laserve.service import Service
from laserve.types import Message
from laserve_client import AsyncClient, PolicyState, StoredDecision
from services import fake_service

DOCUMENTS = make_documents("The bridge of Orrin was opened in 1907 by the mayor.")


def question(name: str = "q1", *, references: Sequence[str] = ("1907",), **changes: Any) -> Row:
    request = make_request(question=f"When was the bridge {name} opened?", documents=DOCUMENTS)
    given = {"id": name, "request": request, "metric": "f1", "references": tuple(references)}
    return make_row(**given | {"source": "orrin"} | changes)


F1 = question("f1")
ROUGE = question("rouge", metric="rouge_l")
NUMBER = question("number", metric="final_number", task="math")
CHOICE = question(
    "choice", metric="classification", references=("mayor",), classes=("mayor", "bridge"), task="few-shot"
)
FIRST_LINE = question("line", first_line=True)


@pytest.mark.parametrize(
    ("rows", "learn_from", "expected"),
    [
        ([F1, ROUGE], None, True),
        ([F1, NUMBER], None, False),
        ([F1, CHOICE], None, False),
        ([F1, FIRST_LINE], None, False),
        ([question(references=["a"] * 64)], None, True),
        ([question(references=["a"] * 65)], None, False),
        ([question(references=["a" * 10_000])], None, True),
        ([question(references=["a" * 10_001])], None, False),
        ([question(references=["a", ""])], None, False),
        ([F1, NUMBER], "references", True),
        ([F1], "candidate_rewards", False),
        ([F1], "thumb", False),
    ],
)
def test_feedback_is_of_the_kind_that_the_policy_learns_from_or_can_learn_from_for_all_rows(
    rows: list[Row], learn_from: str | None, expected: bool
) -> None:
    assert by_references(rows, learn_from) is expected


@asynccontextmanager
async def connected(service: Service) -> AsyncIterator[AsyncClient]:
    transport = httpx.ASGITransport(app=create_app(service))
    async with AsyncClient("http://laserve", transport=transport, max_retries=0) as client:
        yield client


async def ask(
    client: AsyncClient, rows: Sequence[Row], *, n: int = 4
) -> tuple[list[Answered | None], PolicyState]:
    references = by_references(rows, (await client.policy()).learn_from)
    given = await ask_all(client, rows, n=n, concurrency=2, references=references)
    return given, await client.policy()


async def stored(client: AsyncClient) -> dict[str, StoredDecision]:
    """Id of a row -> the decision on it."""
    ids = [row["id"] async for row in client.export()]
    decisions = [await client.decision(id_) for id_ in ids]
    return {str(decision.metadata["id"]): decision for decision in decisions}


async def test_right_answers_are_sent_back_as_they_are_where_the_service_measures_them() -> None:
    async with fake_service() as service, connected(service) as client:
        given, policy = await ask(client, [F1, ROUGE])
        decisions = await stored(client)
    assert (policy.learn_from, policy.decisions) == ("references", 2)
    for row, answered in zip((F1, ROUGE), given, strict=True):
        decision = decisions[row.id]
        (feedback,) = decision.feedback
        assert answered is not None
        assert answered.learned
        assert feedback.body == {"references": ["1907"], "metric": row.metric} | (feedback.body or {})
        assert feedback.reward == pytest.approx(answered.qualities[answered.index])
        assert answered.choices == decision.choices
        assert (answered.arm, answered.index) == (decision.scored_by, decision.index)
        assert decision.metadata == {"id": row.id, "source": "orrin"}


async def test_the_quality_of_each_candidate_is_sent_where_the_service_cannot_measure_it() -> None:
    rows = [F1, NUMBER, CHOICE]
    async with fake_service() as service, connected(service) as client:
        given, policy = await ask(client, rows)
        decisions = await stored(client)
        again, _ = await ask(client, [F1])
    assert (policy.learn_from, policy.decisions) == ("candidate_rewards", 3)
    for row, answered in zip(rows, given, strict=True):
        assert answered is not None
        decision = decisions[row.id]
        texts = [candidate.text for candidate in decision.candidates or ()]
        assert answered.qualities == tuple(row.quality(text or "") for text in texts)
        (feedback,) = decision.feedback
        assert (feedback.body or {})["candidate_rewards"] == list(answered.qualities)
        assert decision.task == row.task
    assert again[0] is not None
    assert again[0].learned, "a log that learns from rewards goes on with them"


async def test_what_a_policy_cannot_learn_from_is_known() -> None:
    async with fake_service() as service, connected(service) as client:
        await ask(client, [F1])
        given, policy = await ask(client, [question("f2"), NUMBER])
    assert [answered is not None and answered.learned for answered in given] == [True, False]
    assert policy.decisions == 2


async def test_a_prompt_a_conversation_and_a_question_are_asked_as_they_are() -> None:
    requests = [
        make_request(prompt="The bridge opened in"),
        make_request(messages=(Message(role="system", content="short"), Message(role="user", content="hi"))),
        make_request(question="When?"),
    ]
    rows = [question(str(index), request=request) for index, request in enumerate(requests)]
    async with fake_service() as service, connected(service) as client:
        await ask(client, rows)
        sent = {id_: decision.request or {} for id_, decision in (await stored(client)).items()}
    assert sent["0"]["prompt"] == "The bridge opened in"
    assert [turn["content"] for turn in sent["1"]["messages"]] == ["short", "hi"]
    assert sent["2"]["question"] == "When?"


async def test_a_question_that_the_service_refuses_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    long = question("long", request=make_request(question="why? " * 2000))
    small = {"max_model_len": 4000}
    async with fake_service(generation=small) as service, connected(service) as client:
        given, policy = await ask(client, [F1, long])
    assert [answered is None for answered in given] == [False, True]
    assert policy.decisions == 1
    assert "long of rows is left out" in caplog.text


async def test_a_service_without_room_is_asked_again() -> None:
    flags = {"server": {"max_concurrent_requests": 1}}
    rows = [question(str(index)) for index in range(2)]
    async with fake_service(**flags) as service, connected(service) as client:
        given = await ask_all(client, rows, n=2, concurrency=2, references=True)
    assert None not in given


async def test_a_service_that_reads_rewards_in_another_range_is_refused() -> None:
    flags = {"feedback": {"reward_range": [-1, 1]}}
    wrong = question("wrong", metric="final_number", references=("never",))
    async with fake_service(**flags) as service, connected(service) as client:
        with pytest.raises(LaserveError, match=r"read quality 0 as 0\.5; its feedback\.reward_range"):
            await ask(client, [wrong])


async def test_an_error_of_the_service_ends_the_run_with_its_message() -> None:
    async with AsyncClient("http://127.0.0.1:1", max_retries=0) as client:
        with pytest.raises(LaserveError, match="POST /generate"):
            await ask_all(client, [F1], n=2, concurrency=1, references=True)
