"""What a completed upload was made of."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "f3a6c1d87e02"
down_revision: str | None = "d90b52f7c3ae"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("uploads", sa.Column("part_ids", sa.ARRAY(sa.String()), nullable=True))
    op.add_column("uploads", sa.Column("md5", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("uploads", "md5")
    op.drop_column("uploads", "part_ids")
