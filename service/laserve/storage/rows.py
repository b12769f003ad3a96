"""Rows of the database <-> the values of `laserve.types`."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from sqlalchemy import RowMapping

from laserve.storage.base import StoredFeedback
from laserve.types import ArmWhy, Candidate, Decision, Event, Sampling, Update, Vector

#: A row by column name, as the database gives it or as it was made here.
Row = Mapping[str, Any] | RowMapping


def dumps(value: Any) -> str:
    """Canonical JSON: sorted keys, no spaces, no NaN, floats that round-trip."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def vector_bytes(x: Vector) -> bytes:
    return np.ascontiguousarray(x, dtype="<f8").tobytes()


def bytes_vector(raw: bytes) -> Vector:
    return np.frombuffer(raw, dtype="<f8").astype(np.float64)


def _updates(updates: Iterable[Update]) -> list[list[Any]]:
    return [
        [update.arm, update.reward, update.weight] + ([] if update.unscaled is None else [update.unscaled])
        for update in updates
    ]


def updates_from(rows: Iterable[Any]) -> tuple[Update, ...]:
    return tuple(
        Update(arm=arm, reward=reward, weight=weight, unscaled=rest[0] if rest else None)
        for arm, reward, weight, *rest in rows
    )


def event_row(event: Event, previous: str) -> dict[str, Any]:
    """The row of an event that has its position, chained to the checksum of the row before it."""
    row = {
        "position": event.position,
        "kind": event.kind,
        "created_at": event.created_at,
        "decision_id": event.decision_id,
        "x": None if event.x is None else vector_bytes(event.x),
        "payload": dumps(
            {
                "updates": _updates(event.updates),
                "replaces": _updates(event.replaces),
                "body": dict(event.body),
            }
        ),
    }
    return row | {"checksum": checksum(row, previous)}


def checksum(row: Row, previous: str) -> str:
    """SHA-256, in hex, over every column of an event's row and the checksum of the row before."""
    columns = [row["position"], row["kind"], row["created_at"], row["decision_id"], row["payload"]]
    hasher = hashlib.sha256(previous.encode())
    hasher.update(dumps(columns).encode())
    if row["x"] is not None:
        hasher.update(b"x" + bytes(row["x"]))
    return hasher.hexdigest()


def intact(row: Row, previous: str) -> bool:
    """Whether an event's row is as it was written behind that checksum."""
    try:
        return bool(row["checksum"] == checksum(row, previous))
    except (TypeError, ValueError):  # a column holds what none was ever written with
        return False


def event_from(row: Row) -> Event:
    payload = json.loads(row["payload"])
    return Event(
        position=row["position"],
        kind=row["kind"],
        created_at=row["created_at"],
        decision_id=row["decision_id"],
        x=None if row["x"] is None else bytes_vector(row["x"]),
        updates=updates_from(payload["updates"]),
        replaces=updates_from(payload["replaces"]),
        body=payload["body"],
    )


def feedback_row(feedback: StoredFeedback) -> dict[str, Any]:
    return vars(feedback) | {"body": None if feedback.body is None else dumps(feedback.body)}


def feedback_from(row: Row) -> StoredFeedback:
    return StoredFeedback(
        **{name: row[name] for name in StoredFeedback.__dataclass_fields__}
        | {"body": None if row["body"] is None else json.loads(row["body"])}
    )


#: Columns or texts of a decision; everything else goes into its record.
_APART = {"id", "created_at", "key", "x", "candidates", "metadata", "request", "sampling", "why"}


def decision_row(decision: Decision) -> dict[str, Any]:
    record = {name: value for name, value in vars(decision).items() if name not in _APART}
    record["sampling"] = {name: value for name, value in vars(decision.sampling).items() if name != "stop"}
    record["why"] = [vars(why) for why in decision.why]
    record["candidates"] = [
        {name: value for name, value in vars(candidate).items() if name != "text"}
        for candidate in decision.candidates
    ]
    texts = None
    if decision.retention != "none":
        texts = dumps(
            {
                "request": decision.request,
                "stop": decision.sampling.stop,
                "candidates": [candidate.text for candidate in decision.candidates],
                "metadata": dict(decision.metadata),
            }
        )
    return {
        "id": decision.id,
        "created_at": decision.created_at,
        "key": decision.key,
        "x": vector_bytes(decision.x),
        "record": dumps(record),
        "texts": texts,
        "deleted_at": None,
        "due_at": decision.due_at,
    }


def decision_from(row: Row) -> Decision:
    record = json.loads(row["record"])
    texts = None if row["texts"] is None else json.loads(row["texts"])
    shapes = record.pop("candidates")
    words = texts["candidates"] if texts else [""] * len(shapes)
    sampling = record.pop("sampling")
    return Decision(
        **record
        | {
            "id": row["id"],
            "created_at": row["created_at"],
            "key": row["key"],
            "x": bytes_vector(row["x"]),
            "sampling": Sampling(**sampling, stop=tuple(texts["stop"]) if texts else ()),
            "why": tuple(ArmWhy(**why) for why in record["why"]),
            "candidates": tuple(
                Candidate(text=text, **shape) for text, shape in zip(words, shapes, strict=True)
            ),
            "scores": {arm: tuple(scores) for arm, scores in record["scores"].items()},
            "same_text": tuple(record["same_text"]),
            "degraded": tuple(record["degraded"]),
            "metadata": texts["metadata"] if texts else {},
            "request": texts["request"] if texts else None,
            "retention": record["retention"] if texts else "none",
        }
    )
