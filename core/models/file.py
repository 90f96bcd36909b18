from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, Owned


class File(Owned, Base):
    """An uploaded data file or a job's result file. Its bytes are one object of the store.

    A training file is validated by a `cpu` worker, which claims, leases and fences the row as it does a job's.
    """

    __tablename__ = "files"
    __table_args__ = (
        CheckConstraint("status IN ('uploaded', 'processed', 'error')", name="status"),
        Index("ix_files_project_id_created_at_id", "project_id", "created_at", "id"),
        Index("ix_files_created_at_id", "created_at", "id"),
        Index(
            "ix_files_expiring", "expires_at", postgresql_where=text("expires_at IS NOT NULL AND deleted_at IS NULL")
        ),
        Index("ix_files_waiting", "created_at", postgresql_where=text("status = 'uploaded'")),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    filename: Mapped[str]
    purpose: Mapped[str]
    bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]
    object_key: Mapped[str]
    # uploaded: waits for its validation. processed: usable. error: status_details says what to mend.
    status: Mapped[str]
    status_details: Mapped[str | None]
    rows: Mapped[int | None] = mapped_column(BigInteger)
    # What its validation found out about it; the faults of a file that can't be used too.
    report: Mapped[dict[str, Any] | None]
    # From then on it counts as deleted; null: never.
    expires_at: Mapped[datetime | None]
    # A deleted file keeps its bytes until no unfinished job needs them; then they are purged.
    deleted_at: Mapped[datetime | None]
    purged_at: Mapped[datetime | None]
    token: Mapped[int | None] = mapped_column(BigInteger)
    lease_expires_at: Mapped[datetime | None]
    # Attempts that were lost or failed for reasons that are not the file's.
    losses: Mapped[int] = mapped_column(default=0, server_default="0")
