"""How many GPUs an attempt holds."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "1d9f64b0c3e8"
down_revision: str | None = "f7b2c96a0e58"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("attempts", sa.Column("gpus", sa.Integer(), nullable=False, server_default="0"))
    # How many they were is not known of earlier ones; that there were some is.
    op.execute("UPDATE attempts SET gpus = 1 WHERE gpu_seconds > 0")


def downgrade() -> None:
    op.drop_column("attempts", "gpus")
