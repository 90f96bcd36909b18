"""Since when a job waits for a slot, and which attempts fall into the last hours."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "f7b2c96a0e58"
down_revision: str | None = "a83c5f0e71d4"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# The last event of a job that waits is the one that tells of its being queued.
QUEUED_SINCE = """
UPDATE jobs SET queued_at = coalesce((SELECT max(created_at) FROM events WHERE job_id = jobs.id), created_at)
WHERE status = 'queued'
"""


def upgrade() -> None:
    time = sa.DateTime(timezone=True)
    # PostgreSQL computes the default once and writes no row anew.
    op.add_column("jobs", sa.Column("queued_at", time, server_default=sa.text("now()"), nullable=False))
    op.execute(QUEUED_SINCE)
    op.create_index("ix_attempts_ended_at", "attempts", ["ended_at"])


def downgrade() -> None:
    op.drop_index("ix_attempts_ended_at", table_name="attempts")
    op.drop_column("jobs", "queued_at")
