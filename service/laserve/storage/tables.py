"""The schema, for queries. Migrations create it."""

from sqlalchemy import Boolean, Column, Float, Index, Integer, LargeBinary, MetaData, Table, Text

metadata = MetaData()

#: One row a decision. `record` holds what replays it, `texts` what retention governs; `due_at` is set while a
#: default reward is pending.
decisions = Table(
    "decisions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("created_at", Float, nullable=False),
    Column("key", Text, nullable=False),
    Column("x", LargeBinary, nullable=False),
    Column("record", Text, nullable=False),
    Column("texts", Text),
    Column("deleted_at", Float),
    Column("due_at", Float),
    Index("decisions_created_at", "created_at"),
    Index("decisions_due_at", "due_at"),
)

#: The ordered log. `checksum` chains each row to the one before.
events = Table(
    "events",
    metadata,
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("decision_id", Text),
    Column("x", LargeBinary),
    Column("payload", Text, nullable=False),
    Column("checksum", Text, nullable=False),
    Index("events_decision_id", "decision_id"),
)

#: What clients said, by idempotency key.
feedback = Table(
    "feedback",
    metadata,
    Column("key", Text, primary_key=True),
    Column("identity", Text, primary_key=True),
    Column("decision_id", Text, nullable=False),
    Column("digest", Text),
    Column("body", Text),
    Column("learned", Boolean, nullable=False),
    Column("reward", Float),
    Column("position", Integer, nullable=False),
    Column("created_at", Float, nullable=False),
    Index("feedback_decision_id", "decision_id"),
)

#: Folded states, so that a start need not replay everything.
snapshots = Table(
    "snapshots",
    metadata,
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("digest", Text, nullable=False),
    Column("checksum", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("created_at", Float, nullable=False),
)
