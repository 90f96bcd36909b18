"""Models with full weights, and adapters that sit on them; files whose rows are replayed."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "8d2f60c4b917"
down_revision: str | None = "f3a6c1d87e02"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("models", sa.Column("weights", sa.String(), nullable=False, server_default="adapter"))
    op.alter_column("models", "weights", server_default=None)
    op.add_column("models", sa.Column("full_base_id", sa.String(), nullable=True))
    op.create_foreign_key("fk_models_full_base_id_models", "models", "models", ["full_base_id"], ["id"])
    op.add_column("jobs", sa.Column("replay_file_id", sa.String(), nullable=True))
    op.create_foreign_key("fk_jobs_replay_file_id_files", "jobs", "files", ["replay_file_id"], ["id"])
    op.create_index("ix_jobs_replay_file_id", "jobs", ["replay_file_id"])


def downgrade() -> None:
    op.drop_column("jobs", "replay_file_id")
    op.drop_column("models", "full_base_id")
    op.drop_column("models", "weights")
