"""Lists of all projects' files, which operators read."""

from collections.abc import Sequence

from alembic import op

revision: str = "e61d0a94f3b5"
down_revision: str | None = "d05b8e3c92a7"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_index("ix_files_created_at_id", "files", ["created_at", "id"])


def downgrade() -> None:
    op.drop_index("ix_files_created_at_id", table_name="files")
