"""What was acknowledged survives kill -9, exactly once; what was not may be sent again."""

import asyncio
import itertools
import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from integration.operation import FAKE, on_disk, sql, verified_digest
from processes import Server, launch, wait_ready

CLIENTS = 50
#: The server is killed as soon as so many feedbacks of the round were acknowledged.
ROUNDS = (30, 70, 1)
KIND = "candidate_rewards"
SETTINGS = {"storage__snapshot_every": "40", "policy__learn_from": KIND}
ARMS = ("loglik", "consensus", "relevance")


@dataclass
class Post:
    """One feedback as a client sends it."""

    body: dict[str, Any]
    headers: dict[str, str]
    acknowledged: bool = False


@dataclass
class Ledger:
    """What the clients know: each decision that was answered, and each feedback that was ever sent."""

    decisions: dict[str, dict[str, Any]] = field(default_factory=dict)
    posts: dict[str, list[Post]] = field(default_factory=dict)
    #: The decisions as a restarted server returned them, without feedback.
    reread: dict[str, dict[str, Any]] = field(default_factory=dict)

    def all(self) -> list[Post]:
        return [post for posts in self.posts.values() for post in posts]

    @property
    def acknowledged(self) -> int:
        return sum(post.acknowledged for post in self.all())


def plan(decision_id: str, number: int, chance: random.Random) -> list[Post]:
    """The feedbacks that a client sends on one decision, one after another."""

    def rewards() -> list[float]:
        return [chance.random() for _ in range(4)]

    # A kind that does not teach here, one that does, and a correction of it; their values tell them apart.
    other = Post({"decision_id": decision_id, "reward": chance.random(), "source": "other"}, {})
    first = Post({"decision_id": decision_id, KIND: rewards()}, {})
    again = Post({"decision_id": decision_id, KIND: rewards()}, {"Idempotency-Key": f"again {decision_id}"})
    return [[first], [other, first], [first, again]][number % 3]


async def post(client: httpx.AsyncClient, sent: Post) -> dict[str, Any]:
    answer = await client.post("/feedback", json=sent.body, headers=sent.headers)
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()
    assert result["learned"] is (KIND in sent.body)
    return result


async def work(client: httpx.AsyncClient, ledger: Ledger, name: str, full: asyncio.Event, enough: int) -> str:
    """One client: ask and tell until the server is gone; returns what it was waiting for then."""
    chance = random.Random(name)
    doing = ""
    try:
        for number in itertools.count():
            doing = "generate"
            question = {"question": f"{name} asks {number}", "n": 4, "timeout_s": 60}
            answer = await client.post("/generate", json=question)
            assert answer.status_code == 200, answer.text
            decision = answer.json()
            ledger.decisions[decision["decision_id"]] = decision
            doing = "feedback"
            for sent in plan(decision["decision_id"], number, chance):
                ledger.posts.setdefault(decision["decision_id"], []).append(sent)
                assert (await post(client, sent))["status"] == "recorded"
                sent.acknowledged = True
                if ledger.acknowledged >= enough:
                    full.set()
    except httpx.TransportError:
        return doing
    raise AssertionError("not reached")


async def load_until_killed(server: Server, ledger: Ledger, round_: int, more: int) -> Counter[str]:
    """Fifty clients, and kill -9 in the middle of their work; counts what they were waiting for."""
    full, enough = asyncio.Event(), ledger.acknowledged + more
    limits = httpx.Limits(max_connections=CLIENTS)
    async with httpx.AsyncClient(base_url=server.url, timeout=60, limits=limits) as client:
        names = [f"client {round_}.{number}" for number in range(CLIENTS)]
        clients = [asyncio.create_task(work(client, ledger, name, full, enough)) for name in names]
        killed = asyncio.create_task(full.wait())
        await asyncio.wait({killed, *clients}, return_when=asyncio.FIRST_COMPLETED)
        killed.cancel()
        server.kill()
        return Counter(await asyncio.gather(*clients))


async def check(server: Server, ledger: Ledger, known: set[str]) -> None:
    """Compare some decisions with what the clients know of them; send again what is in doubt."""
    limits = httpx.Limits(max_connections=8)
    async with httpx.AsyncClient(base_url=server.url, timeout=60, limits=limits) as client:
        policy = (await client.get("/policy")).json()
        assert policy["log_position"] >= 1 + len(ARMS) + ledger.acknowledged

        await asyncio.gather(*(check_decision(client, ledger, decision_id) for decision_id in known))

        policy = (await client.get("/policy")).json()
        assert policy["log_position"] == 1 + len(ARMS) + len(ledger.all())
        check_counters(policy, learned(ledger))


async def check_decision(client: httpx.AsyncClient, ledger: Ledger, decision_id: str) -> None:
    async def listed() -> list[str]:
        answer = await client.get(f"/decisions/{decision_id}")
        assert answer.status_code == 200
        ledger.reread[decision_id] = answer.json()
        return sorted(spelled(row["body"]) for row in ledger.reread[decision_id].pop("feedback"))

    before = ledger.reread.get(decision_id)
    bodies = await listed()
    decision = ledger.reread[decision_id]
    assert decision["text"] == ledger.decisions[decision_id]["text"]
    assert before in (None, decision)

    sent = ledger.posts.get(decision_id, [])
    assert len(set(bodies)) == len(bodies)
    assert {spelled(one.body) for one in sent if one.acknowledged} <= set(bodies)
    for one in sent:
        there = spelled(one.body) in bodies
        assert (await post(client, one))["status"] == ("duplicate" if there else "recorded")
        if not one.acknowledged:
            one.acknowledged = True
            assert (await post(client, one))["status"] == "duplicate"
            bodies = await listed()
    assert bodies == sorted(spelled(one.body) for one in sent)


def spelled(body: dict[str, Any]) -> str:
    return repr([body["decision_id"], body.get("source", ""), body.get("reward"), body.get(KIND)])


def learned(ledger: Ledger) -> list[tuple[str, dict[str, float]]]:
    """For each decision that taught: the arm that chose, and the last reward of each arm."""
    lessons = []
    for decision_id, decision in ledger.reread.items():
        rewards = [sent.body[KIND] for sent in ledger.posts.get(decision_id, []) if KIND in sent.body]
        if rewards:
            known = {arm: rewards[-1][best] for arm, best in decision["choices"].items()}
            lessons.append((decision["scored_by"], known))
    return lessons


def check_counters(policy: dict[str, Any], taught: list[tuple[str, dict[str, float]]]) -> None:
    """Counts and means are what the clients' own records give."""
    assert policy["decisions"] == len(taught)
    pulls = Counter(arm for arm, _ in taught)
    for arm in policy["arms"]:
        rewards = [known[arm["name"]] for _, known in taught if arm["name"] in known]
        assert arm["pulls"] == pulls[arm["name"]]
        assert arm["updates"] == len(rewards)
        # Corrections subtract what they replace, so the sum carries rounding errors.
        assert arm["mean_reward"] == pytest.approx(sum(rewards) / len(rewards) if rewards else None, rel=1e-9)


def check_file(folder: Path, ledger: Ledger) -> None:
    """One event for each feedback and one feedback for each event, without a gap or a double."""
    rows = sql(folder, "SELECT position, decision_id FROM events WHERE kind = 'feedback' ORDER BY position")
    assert [position for position, _ in rows] == list(range(2 + len(ARMS), 2 + len(ARMS) + len(rows)))
    assert rows == sql(folder, "SELECT position, decision_id FROM feedback ORDER BY position")
    acknowledged = Counter(post.body["decision_id"] for post in ledger.all() if post.acknowledged)
    sent = Counter(post.body["decision_id"] for post in ledger.all())
    stored = Counter(decision_id for _, decision_id in rows)
    assert acknowledged <= stored <= sent
    assert set(ledger.decisions) <= {row[0] for row in sql(folder, "SELECT id FROM decisions")}


def digest(server: Server) -> str:
    value: str = server.client.get("/policy").json()["digest"]
    return value


async def test_every_acknowledged_feedback_survives_kill_9_exactly_once(tmp_path: Path) -> None:
    env, ledger, waiting = on_disk(tmp_path, **SETTINGS), Ledger(), Counter[str]()
    logs = itertools.count()

    def start() -> Server:
        server = launch(tmp_path / f"log {next(logs)}", *FAKE, env=env)
        try:
            wait_ready(server)
        except BaseException:
            server.kill()
            raise
        return server

    server = await asyncio.to_thread(start)
    try:
        for round_, more in enumerate(ROUNDS):
            waiting += await load_until_killed(server, ledger, round_, more)
            server.client.close()
            check_file(tmp_path, ledger)
            left = await asyncio.to_thread(verified_digest, tmp_path)

            server = await asyncio.to_thread(start)
            assert await asyncio.to_thread(digest, server) == left
            last_round = round_ == len(ROUNDS) - 1
            await check(server, ledger, set(ledger.decisions) - (set() if last_round else set(ledger.reread)))
            check_file(tmp_path, ledger)

        last = await asyncio.to_thread(digest, server)
        assert await asyncio.to_thread(server.stop) == 0
        assert await asyncio.to_thread(verified_digest, tmp_path) == last
    finally:
        server.client.close()
        if server.process.poll() is None:
            server.kill()
    # Each round broke every client off in the middle, some of them waiting for an acknowledgement.
    assert waiting.total() == CLIENTS * len(ROUNDS)
    assert waiting["feedback"] > 0
    assert sql(tmp_path, "SELECT count(*) > 0 FROM snapshots") == [(1,)]
    assert not (tmp_path / "laserve.db-wal").exists()
