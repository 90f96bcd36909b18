"""The memory that a slot of a worker has."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "5b1c0f3a7d24"
down_revision: str | None = "f67bcd9c3021"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("workers", sa.Column("memory_bytes", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("workers", "memory_bytes")
