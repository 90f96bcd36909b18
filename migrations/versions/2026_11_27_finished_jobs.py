"""Jobs that have ended lately, by how they did: few of a million may be among them."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "c92f4a17e6d0"
down_revision: str | None = "b7e20d5c81f4"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    ended = sa.text("finished_at IS NOT NULL")
    op.create_index("ix_jobs_finished", "jobs", ["status", "finished_at"], postgresql_where=ended)


def downgrade() -> None:
    op.drop_index("ix_jobs_finished", table_name="jobs")
