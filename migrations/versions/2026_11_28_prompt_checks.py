"""Jobs whose prompts are read before they are queued."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "c47e19b6a05d"
down_revision: str | None = "1d9f64b0c3e8"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "prompt_checks",
        sa.Column("job_id", sa.String(), sa.ForeignKey("jobs.id", name="fk_prompt_checks_job_id_jobs"), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=True),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", name="pk_prompt_checks"),
        sa.UniqueConstraint("token", name="uq_prompt_checks_token"),
        sa.CheckConstraint(
            "(token IS NULL) = (lease_expires_at IS NULL)", name=op.f("ck_prompt_checks_lease_with_token")
        ),
    )


def downgrade() -> None:
    op.drop_table("prompt_checks")
