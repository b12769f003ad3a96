"""Decisions, events, feedback and snapshots."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "decisions",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("x", sa.LargeBinary, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
        sa.Column("texts", sa.Text),
        sa.Column("deleted_at", sa.Float),
    )
    op.create_index("decisions_created_at", "decisions", ["created_at"])
    op.create_table(
        "events",
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("decision_id", sa.Text),
        sa.Column("x", sa.LargeBinary),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("checksum", sa.Text, nullable=False),
    )
    op.create_index("events_decision_id", "events", ["decision_id"])
    op.create_table(
        "feedback",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("identity", sa.Text, primary_key=True),
        sa.Column("decision_id", sa.Text, nullable=False),
        sa.Column("digest", sa.Text),
        sa.Column("body", sa.Text),
        sa.Column("learned", sa.Boolean, nullable=False),
        sa.Column("reward", sa.Float),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
    )
    op.create_index("feedback_decision_id", "feedback", ["decision_id"])
    op.create_table(
        "snapshots",
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("checksum", sa.Text, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
    )


def downgrade() -> None:
    for table in ("snapshots", "feedback", "events", "decisions"):
        op.drop_table(table)
