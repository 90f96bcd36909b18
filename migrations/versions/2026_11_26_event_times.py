"""Events get their time from the database by themselves, so that many are inserted at once."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "c6a1e84d0b37"
down_revision: str | None = "b3d95e7f1a60"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.alter_column("events", "created_at", server_default=sa.text("clock_timestamp()"))


def downgrade() -> None:
    op.alter_column("events", "created_at", server_default=None)
