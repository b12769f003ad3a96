"""Clients of a service: ordinary ones, and those of every fault that a client can cause."""

import itertools
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

TASKS = ("math", "chat", "summarization", "undeclared", None)
POLICIES = (None, None, None, "random", "fixed:loglik")
#: Probability that an answer is good, by the arm that chose it and the task.
QUALITY = {("loglik", "math"): 0.95, ("consensus", "math"): 0.6, ("reader", "chat"): 0.95}
#: A document that is cut to fit the generator of the scene.
LONG = {"question": "where", "documents": [{"text": "river " * 12_000}], "n": 2}


def quality(arm: str, task: str | None) -> float:
    return QUALITY.get((arm, task or ""), 0.75)


@dataclass
class Traffic:
    """Ordinary clients, which ask and rate until they are stopped.

    Args:
        url: of the service.
        secret: API key, if the service has any.
    """

    url: str
    secret: str | None = None
    #: Factor on the probability of a good answer.
    worth: float = 1.0
    #: Share of the answers that are rated.
    rating: float = 0.7
    answers: int = 0
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def client(self, secret: str | None = None) -> httpx.Client:
        key = secret or self.secret
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        return httpx.Client(base_url=self.url, timeout=30, headers=headers)

    @contextmanager
    def running(self, clients: int = 2, pause_s: float = 0.05) -> Iterator[None]:
        """Traffic while the block runs."""
        stop = threading.Event()

        def work(seed: int) -> None:
            chance = random.Random(seed)
            with self.client() as client:
                while not stop.wait(pause_s):  # the pace of a client
                    self._ask(client, chance)

        with ThreadPoolExecutor(clients) as pool:
            working = [pool.submit(work, seed) for seed in range(clients)]
            try:
                yield
            finally:
                stop.set()
        for each in working:
            each.result()

    def _ask(self, client: httpx.Client, chance: random.Random) -> None:
        task, policy = chance.choice(TASKS), chance.choice(POLICIES)
        body: dict[str, Any] = {"prompt": f"question {next(self._numbers)} about the river", "n": 4}
        body |= {key: value for key, value in (("task", task), ("policy", policy)) if value is not None}
        try:
            answer = client.post("/generate", json=body)
        except httpx.TransportError:
            return  # the service is being restarted
        if answer.status_code != 200:
            return
        self.answers += 1
        decision = answer.json()
        if chance.random() < self.rating:
            good = chance.random() < self.worth * quality(decision["arm"], task)
            body = {"decision_id": decision["decision_id"], "reward": float(good)}
            client.post("/feedback", json=body)


def refused_keys(traffic: Traffic) -> None:
    """A request without a key, one with a malformed key, and one with an unknown key."""
    for headers in ({}, {"Authorization": "Basic abc"}, {"Authorization": "Bearer guess"}):
        assert httpx.get(f"{traffic.url}/policy", headers=headers).status_code == 401


def wrong_requests(traffic: Traffic) -> None:
    """A path that does not exist, and a body that is no request; from another caller."""
    with traffic.client("hunter2") as client:
        assert client.get("/nothing").status_code == 404
        assert client.post("/generate", json={"n": 0}).status_code == 422
        assert client.get("/policy").status_code == 200


def odd_feedback(traffic: Traffic) -> None:
    """Feedback that teaches nothing, comes twice, or contradicts itself."""
    with traffic.client() as client:
        pinned, drawn = (
            client.post("/generate", json={"prompt": "odd", "n": 2} | more)
            for more in ({"arm": "loglik"}, {})
        )
        if pinned.status_code != 200 or drawn.status_code != 200:
            return  # refused under load
        client.post("/feedback", json={"decision_id": pinned.json()["decision_id"], "reward": 1})
        decision_id = drawn.json()["decision_id"]
        client.post("/feedback", json={"decision_id": decision_id, "thumb": "up"})
        for reward in (1, 1, 0):
            client.post("/feedback", json={"decision_id": decision_id, "reward": reward})


def late_feedback(traffic: Traffic, decision_ids: list[str]) -> None:
    """Feedback on earlier decisions, and a fresh decision for the next call."""
    with traffic.client() as client:
        if len(decision_ids) > 4:
            body = {"decision_id": decision_ids.pop(0), "reward": 1}
            client.post("/feedback", json=body)
        answer = client.post("/generate", json={"prompt": "late", "n": 2})
        if answer.status_code == 200:
            decision_ids.append(answer.json()["decision_id"])


def cut_documents(traffic: Traffic) -> None:
    """Documents too long for the generator and for the arm that reads ahead; candidates cut as well."""
    with traffic.client() as client:
        for more in ({"arm": "reader"}, {"max_tokens": 1}):
            client.post("/generate", json=LONG | more)


def failing_draws(traffic: Traffic) -> None:
    """Decisions that draw the arms whose faults are on."""
    with traffic.client() as client:
        for arm in ("flaky", "patchy"):
            client.post("/generate", json={"prompt": "fault", "n": 6, "policy": f"fixed:{arm}"})


def burst(traffic: Traffic, size: int) -> None:
    """More slow requests at once than there are permits."""

    def ask() -> int:
        with traffic.client() as client:
            return client.post("/generate", json={"prompt": "burst", "n": 2, "arm": "slow"}).status_code

    with ThreadPoolExecutor(size) as pool:
        statuses = {each.result() for each in [pool.submit(ask) for _ in range(size)]}
    assert statuses <= {200, 429, 503}


def leaving(traffic: Traffic) -> None:
    """A client that leaves a stream after its first line."""
    body = {"prompt": "leave", "n": 2, "arm": "slow", "stream": True}
    with traffic.client() as client, client.stream("POST", "/generate", json=body) as answer:
        next(answer.iter_lines())


#: Faults that need nothing but a client.
FAULTS: tuple[Callable[[Traffic], None], ...] = (
    refused_keys,
    wrong_requests,
    odd_feedback,
    cut_documents,
    failing_draws,
    leaving,
)
