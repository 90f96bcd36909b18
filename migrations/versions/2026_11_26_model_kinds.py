"""Models that write answers, and models that score them."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "a4c07e95d3f2"
down_revision: str | None = "f3d80b5e6a19"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("models", sa.Column("kind", sa.String(), nullable=False, server_default="policy"))


def downgrade() -> None:
    op.drop_column("models", "kind")
