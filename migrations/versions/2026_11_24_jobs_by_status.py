"""Lists of jobs in one state: few of a million may be in it."""

from collections.abc import Sequence

from alembic import op

revision: str = "c41e7a90d8b6"
down_revision: str | None = "5b1c0f3a7d24"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_index("ix_jobs_status_created_at_id", "jobs", ["status", "created_at", "id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_jobs_status_created_at_id", table_name="jobs")
