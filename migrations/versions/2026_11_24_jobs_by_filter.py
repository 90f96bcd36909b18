"""Lists of jobs of one model, one method or some metadata: few of a million may be among them."""

from collections.abc import Sequence

from alembic import op

revision: str = "d90b52f7c3ae"
down_revision: str | None = "8e2d94c6b1f7"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_index("ix_jobs_model", "jobs", ["model", "created_at", "id"])
    op.create_index("ix_jobs_base_model", "jobs", ["base_model", "created_at", "id"])
    op.execute("CREATE INDEX ix_jobs_method ON jobs ((spec['method'] ->> 'type'), created_at, id)")
    op.execute("CREATE INDEX ix_jobs_metadata ON jobs USING gin ((spec['metadata']) jsonb_path_ops)")


def downgrade() -> None:
    for name in ("ix_jobs_metadata", "ix_jobs_method", "ix_jobs_base_model", "ix_jobs_model"):
        op.drop_index(name, table_name="jobs")
