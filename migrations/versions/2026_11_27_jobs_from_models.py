"""Jobs that start from a model, or are rewarded by one: few of a million may be among them."""

from collections.abc import Sequence

from alembic import op

revision: str = "a83c5f0e71d4"
down_revision: str | None = "e61d0a94f3b5"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_index("ix_jobs_parent_model_id", "jobs", ["parent_model_id"])
    op.execute("CREATE INDEX ix_jobs_reward_models ON jobs USING gin ((spec['method']['ppo']['reward_models']))")


def downgrade() -> None:
    op.drop_index("ix_jobs_reward_models", table_name="jobs")
    op.drop_index("ix_jobs_parent_model_id", table_name="jobs")
