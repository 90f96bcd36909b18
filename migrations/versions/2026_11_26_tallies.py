"""Counters and histograms for operators; since when a job is interrupted; the lag of attempts' events; disks."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "e15b7c92d4a8"
down_revision: str | None = "c6a1e84d0b37"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "observations",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("bucket", sa.Float(), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_observations"),
    )
    op.create_table(
        "tallies",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("bucket", sa.Float(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", "label", "bucket", name="pk_tallies"),
    )
    # Counters go on from where they were.
    op.execute(
        "INSERT INTO tallies SELECT 'attempts', outcome, 0, count(*), count(*) FROM attempts "
        "WHERE outcome IS NOT NULL GROUP BY outcome"
    )
    op.add_column("jobs", sa.Column("interrupted_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("attempts", sa.Column("event_lag_seconds", sa.Float(), server_default="0", nullable=False))
    op.add_column("workers", sa.Column("disk_bytes", sa.BigInteger(), nullable=True))
    op.add_column("workers", sa.Column("disk_free_bytes", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("workers", "disk_free_bytes")
    op.drop_column("workers", "disk_bytes")
    op.drop_column("attempts", "event_lag_seconds")
    op.drop_column("jobs", "interrupted_at")
    op.drop_table("tallies")
    op.drop_table("observations")
