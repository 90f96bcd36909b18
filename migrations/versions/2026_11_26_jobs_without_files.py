"""Jobs that read no file: an initialization may take a model's tokenizer."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "f3d80b5e6a19"
down_revision: str | None = "e15b7c92d4a8"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.alter_column("jobs", "training_file_id", existing_type=sa.String(), nullable=True)


def downgrade() -> None:
    op.alter_column("jobs", "training_file_id", existing_type=sa.String(), nullable=False)
