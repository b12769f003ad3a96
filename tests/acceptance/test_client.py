"""Both clients against a real server: what a user of the package does, end to end."""

import ast
import re
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

import laserve_client
from laserve_client import (
    AsyncClient,
    Candidate,
    Client,
    Conflict,
    ConnectionFailed,
    Decision,
    Gone,
    InvalidRequest,
    NotFound,
    Unauthorized,
)
from processes import Server, serving

QUESTION: dict[str, Any] = {
    "question": "When was the Orrin bridge opened?",
    "documents": [{"title": "Orrin", "text": "The bridge of Orrin was opened in 1907."}],
    "n": 4,
    "seed": 1,
}
ARMS = ["loglik", "consensus", "relevance"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("client")
    env = {"LASERVE_DATA_DIR": str(folder)}
    with serving(folder / "log", "--profile", "fake", env=env) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.url) as client:
        yield client


@pytest.fixture
async def aclient(server: Server) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(server.url) as client:
        yield client


def check_decision(decision: Decision) -> None:
    assert decision.candidates is not None
    assert [candidate.index for candidate in decision.candidates] == [0, 1, 2, 3]
    assert decision.text == decision.candidates[decision.index].text
    assert decision.score == decision.candidates[decision.index].score
    assert decision.arm in ARMS
    assert decision.scored_by == decision.arm
    assert sum(why.probability for why in decision.why) == pytest.approx(1)
    assert decision.usage.total_tokens == decision.usage.prompt_tokens + decision.usage.completion_tokens
    assert decision.timings["total"] > 0
    assert decision.degraded == ()


def check_steps(steps: list[Candidate | Decision]) -> None:
    *candidates, decision = steps
    assert isinstance(decision, Decision)
    assert decision.candidates is not None
    check_decision(decision)
    streamed = [candidate for candidate in candidates if isinstance(candidate, Candidate)]
    assert [one.text for one in streamed] == [one.text for one in decision.candidates]


def test_generate_returns_the_best_candidate_and_why(client):
    check_decision(client.generate(**QUESTION))


async def test_generate_can_be_awaited(aclient):
    check_decision(await aclient.generate(**QUESTION))


def test_a_prompt_a_conversation_and_a_pinned_arm_are_served(client):
    decision = client.generate(prompt="The bridge opened in", n=1, temperature=0.0, arm="consensus")
    assert (decision.arm, decision.policy, decision.propensity) == ("consensus", "pinned", None)
    decision = client.generate(
        messages=[{"role": "user", "content": "When?"}], n=2, stop="\n", policy="random", task="chat"
    )
    assert (decision.policy, decision.propensity) == ("random", pytest.approx(1 / 3))
    assert client.generate(**QUESTION, return_candidates=False).candidates is None


def test_stream_yields_every_candidate_then_the_decision(client):
    check_steps(list(client.stream(**QUESTION)))


async def test_stream_can_be_iterated_asynchronously(aclient):
    check_steps([step async for step in aclient.stream(**QUESTION)])


async def test_a_stream_can_be_left_early_and_the_client_used_on(aclient):
    async with aclosing(aclient.stream(**QUESTION)) as steps:
        assert isinstance(await anext(steps), Candidate)
    check_decision(await aclient.generate(**QUESTION))


def test_feedback_is_counted_once_and_a_contradiction_shows_what_came_before(client):
    decision_id = client.generate(**QUESTION).decision_id
    first = client.feedback(decision_id, references=["1907"], source="anna")
    assert first.status == "recorded"
    assert first.reward is not None
    assert client.feedback(decision_id, references=["1907"], source="anna").status == "duplicate"
    with pytest.raises(Conflict) as caught:
        client.feedback(decision_id, references=["1911"], source="anna")
    assert caught.value.stored is not None
    assert caught.value.stored["references"] == ["1907"]
    corrected = client.feedback(decision_id, references=["1911"], source="anna", idempotency_key="correction")
    assert corrected.status == "recorded"


@pytest.mark.parametrize(
    "kind", [{"reward": 0.5}, {"thumb": "up"}, {"chosen_index": 0}, {"candidate_rewards": [0, 0.5, 1, 1]}]
)
async def test_every_kind_of_feedback_is_taken(aclient, kind):
    decision = await aclient.generate(**QUESTION)
    outcome = await aclient.feedback(decision.decision_id, **kind)
    assert outcome.status == "recorded"
    assert outcome.reward is not None
    assert 0 <= outcome.reward <= 1


def check_batch(outcomes: list[Any]) -> None:
    good, unknown, bad, again = outcomes
    assert [outcome.line for outcome in outcomes] == [1, 2, 3, 4]
    assert (good.status, good.reward, good.error) == ("recorded", 1.0, None)
    assert isinstance(unknown.error, NotFound)
    assert isinstance(bad.error, InvalidRequest)
    assert bad.error.param == "reward"
    assert (again.status, again.reward) == ("duplicate", 1.0)


def batch(decision_id: str) -> list[Any]:
    return [
        {"decision_id": decision_id, "thumb": "up"},
        {"decision_id": "nobody", "thumb": "up"},
        {"decision_id": decision_id, "reward": 2},
        {"decision_id": decision_id, "thumb": 1},
    ]


def test_a_batch_answers_each_line(client):
    check_batch(client.feedback_batch(batch(client.generate(**QUESTION).decision_id)))
    assert client.feedback_batch([]) == []


async def test_a_batch_can_be_awaited(aclient):
    check_batch(await aclient.feedback_batch(batch((await aclient.generate(**QUESTION)).decision_id)))


def test_a_decision_is_read_with_its_feedback_until_it_is_deleted(client):
    decision = client.generate(**QUESTION, task="chat", metadata={"user": 7})
    client.feedback(decision.decision_id, reward=0.5)
    stored = client.decision(decision.decision_id)
    assert (stored.text, stored.candidates, stored.why) == (decision.text, decision.candidates, decision.why)
    assert (stored.task, stored.metadata, stored.sampling["n"]) == ("chat", {"user": 7}, 4)
    assert stored.choices[decision.arm] == decision.index
    assert [feedback.reward for feedback in stored.feedback] == [0.5]
    client.delete(decision.decision_id)
    for call in (client.decision, client.delete, lambda id_: client.feedback(id_, reward=1)):
        with pytest.raises(Gone):
            call(decision.decision_id)


async def test_a_decision_can_be_read_and_deleted_asynchronously(aclient):
    decision_id = (await aclient.generate(**QUESTION)).decision_id
    assert (await aclient.decision(decision_id)).feedback == ()
    await aclient.delete(decision_id)
    with pytest.raises(Gone):
        await aclient.decision(decision_id)
    with pytest.raises(NotFound):
        await aclient.decision("nobody/else")


async def test_the_log_can_be_exported_line_by_line(client, aclient):
    decision = client.generate(**QUESTION, task="summarization")
    client.feedback(decision.decision_id, candidate_rewards=[0, 0.25, 0.5, 1])
    client.generate(**QUESTION, task="summarization")
    wanted: dict[str, Any] = {"task": "summarization", "with_feedback": True}
    (row,) = client.export(**wanted)
    assert (row["id"], row["question"], row["rewards"]) == (
        decision.decision_id,
        QUESTION["question"],
        [0, 0.25, 0.5, 1],
    )
    assert row["reward"] == row["rewards"][decision.index]
    assert [each async for each in aclient.export(**wanted)] == [row]
    assert len(list(client.export(since=row["created_at"], task="summarization"))) == 2
    with pytest.raises(InvalidRequest) as caught:
        next(client.export(since=-1))
    assert caught.value.param == "since"


async def test_arms_policy_and_readiness_tell_what_was_learned(client, aclient):
    decision = client.generate(**QUESTION)
    client.feedback(decision.decision_id, reward=1)
    arms = client.arms()
    assert [arm.name for arm in arms] == ARMS
    assert {arm.state for arm in arms} == {"ready"}
    policy = client.policy()
    assert policy.name == "linucb"
    assert policy.log_position > 3
    assert {len(arm.theta) for arm in policy.arms} == {len(policy.context)}
    assert (client.ready().status, client.health().status) == ("ready", "ok")
    assert (await aclient.arms(), await aclient.policy()) == (arms, policy)
    assert (await aclient.ready()).arms == dict.fromkeys(ARMS, "ready")
    assert await aclient.health() == client.health()


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        ({"prompt": "a", "question": "b"}, "body"),
        ({"prompt": "a", "n": 65}, "n"),
        ({"prompt": "a", "arm": "x"}, "arm"),
    ],
)
def test_what_the_service_refuses_names_the_field(client, request_, param):
    for attempt in (client.generate, lambda **request: list(client.stream(**request))):
        with pytest.raises(InvalidRequest) as caught:
            attempt(**request_)
        assert caught.value.param == param


def test_an_api_key_opens_a_service_that_asks_for_one(tmp_path):
    env = {"LASERVE_DATA_DIR": str(tmp_path), "LASERVE_SERVER__API_KEYS": '{"anna": "secret"}'}
    with serving(tmp_path / "log", "--profile", "fake", env=env) as server:
        with Client(server.url) as client, pytest.raises(Unauthorized):
            client.arms()
        with Client(server.url, api_key="secret") as client:
            check_decision(client.generate(**QUESTION))


def test_where_nobody_listens_the_connection_fails(server):
    with Client("http://127.0.0.1:1", max_retries=0) as client, pytest.raises(ConnectionFailed):
        client.arms()


async def test_the_examples_of_the_readme_run(server, capsys):
    readme = (Path(laserve_client.__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    examples = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    assert len(examples) == 2
    for example in examples:
        code = example.replace("http://127.0.0.1:8000", server.url)
        code = code.replace("AsyncClient()", f"AsyncClient({server.url!r})")
        result = eval(compile(code, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), {})
        if isinstance(result, Awaitable):
            await result
    assert "best: " in capsys.readouterr().out
