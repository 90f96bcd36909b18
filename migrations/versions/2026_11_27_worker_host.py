"""Where a worker runs, and the memory that it holds."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "d05b8e3c92a7"
down_revision: str | None = "c92f4a17e6d0"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("workers", sa.Column("resident_bytes", sa.BigInteger(), nullable=True))
    op.add_column("workers", sa.Column("host", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("workers", "host")
    op.drop_column("workers", "resident_bytes")
