"""When the default reward of a decision is due."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("decisions", sa.Column("due_at", sa.Float))
    op.create_index("decisions_due_at", "decisions", ["due_at"])


def downgrade() -> None:
    op.drop_index("decisions_due_at", "decisions")
    op.drop_column("decisions", "due_at")
