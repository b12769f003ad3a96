"""What the tests of this folder share: a running service, spoken to as a client does."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import httpx_sse
from prometheus_client.parser import text_string_to_metric_families

from processes import Server

#: A sample's name and labels -> its value.
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]

ORRIN = [
    {"title": "Orrin", "text": "The bridge of Orrin was opened in 1907 by the mayor, Ida Lund."},
    {"title": "Velm", "text": "Velm has a market and a harbour clock."},
]
#: A request in each of the three forms.
FORMS: dict[str, dict[str, Any]] = {
    "prompt": {"prompt": "The bridge of Orrin was opened in"},
    "messages": {
        "messages": [
            {"role": "system", "content": "Answer briefly."},
            {"role": "user", "content": "When was the bridge of Orrin opened?"},
        ]
    },
    "question": {"question": "when was the bridge of orrin opened", "documents": ORRIN},
}


@dataclass
class Change:
    """How samples of `/metrics` moved between two looks."""

    before: Samples
    after: Samples = field(default_factory=dict)

    def __call__(self, name: str, **labels: str) -> float:
        key = (name, frozenset(labels.items()))
        return self.after.get(key, 0.0) - self.before.get(key, 0.0)


@dataclass
class Service:
    """A running service and the folder that is all its own."""

    server: Server
    folder: Path

    @property
    def client(self) -> httpx.Client:
        return self.server.client

    def generate(self, **body: Any) -> dict[str, Any]:
        """The answer to a request that must succeed; a short prompt where the body names no form."""
        form = {} if any(name in body for name in FORMS) else {"prompt": "north of the river", "n": 4}
        answer = self.client.post("/generate", json=form | body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def decide(self, **body: Any) -> str:
        """Id of a fresh decision that may teach."""
        return self.generate(**body)["decision_id"]

    def feedback(self, decision_id: str, *, key: str | None = None, **body: Any) -> httpx.Response:
        headers = {} if key is None else {"Idempotency-Key": key}
        return self.client.post("/feedback", json={"decision_id": decision_id} | body, headers=headers)

    def rate(self, decision_id: str, *, key: str | None = None, **body: Any) -> dict[str, Any]:
        """The answer to a feedback that must succeed."""
        answer = self.feedback(decision_id, key=key, **body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def get(self, path: str) -> dict[str, Any]:
        answer = self.client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def policy(self) -> dict[str, Any]:
        return self.get("/policy")

    def decision(self, decision_id: str) -> dict[str, Any]:
        return self.get(f"/decisions/{decision_id}")

    def samples(self) -> Samples:
        return samples(self.client.get("/metrics").text)

    def sample(self, name: str, **labels: str) -> float:
        return self.samples()[name, frozenset(labels.items())]

    @contextmanager
    def watching(self) -> Iterator[Change]:
        """How `/metrics` moves while the block runs."""
        change = Change(before=self.samples())
        yield change
        change.after = self.samples()

    @property
    def database(self) -> Path:
        return self.folder / "laserve.db"

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """What the database of the running service holds."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            return connection.execute(query, values).fetchall()

    def decisions(self) -> int:
        """Number of decisions that were written."""
        return self.rows("select count(*) from decisions")[0][0]

    def stored_bytes(self) -> bytes:
        """Everything the database has on disk, its write-ahead log included."""
        return b"".join(path.read_bytes() for path in sorted(self.folder.glob("laserve.db*")))


def stream(service: Service, **body: Any) -> list[httpx_sse.ServerSentEvent]:
    """All events of a stream that is not refused."""
    with httpx_sse.connect_sse(service.client, "POST", "/generate", json=body | {"stream": True}) as source:
        assert source.response.status_code == 200
        assert source.response.headers["content-type"].split(";")[0] == "text/event-stream"
        return list(source.iter_sse())


def samples(text: str) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def until(condition: Callable[[], Any], timeout_s: float = 10.0) -> None:
    """Ask a running process again and again; fails when the answer is still no at the deadline."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s"
        time.sleep(0.01)
