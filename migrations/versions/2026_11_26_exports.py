"""Figures of jobs on their way to integrations."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "b3d95e7f1a60"
down_revision: str | None = "8d2f60c4b917"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "exports",
        sa.Column("job_id", sa.String(), sa.ForeignKey("jobs.id", name="fk_exports_job_id_jobs"), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("integration", postgresql.JSONB(none_as_null=True), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("exported_step", sa.Integer(), server_default="0", nullable=False),
        sa.Column("run_id", sa.String(), nullable=True),
        sa.Column("url", sa.String(), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("token", sa.BigInteger(), nullable=True),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("job_id", "position", name="pk_exports"),
        sa.UniqueConstraint("token", name="uq_exports_token"),
        sa.CheckConstraint("status IN ('pending', 'done', 'failed')", name=op.f("ck_exports_status")),
        sa.CheckConstraint("(token IS NULL) = (lease_expires_at IS NULL)", name=op.f("ck_exports_lease_with_token")),
    )
    op.create_index("ix_exports_pending", "exports", ["due_at"], postgresql_where=sa.text("status = 'pending'"))


def downgrade() -> None:
    op.drop_table("exports")
