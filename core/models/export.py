from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base


class Export(Base):
    """The figures of a job on their way to one of its integrations, as far as they have got.

    A `cpu` worker claims, leases and fences the row as it does a file's, again and again until the job has ended.
    """

    __tablename__ = "exports"
    __table_args__ = (
        CheckConstraint("status IN ('pending', 'done', 'failed')", name="status"),
        CheckConstraint("(token IS NULL) = (lease_expires_at IS NULL)", name="lease_with_token"),
        Index("ix_exports_pending", "due_at", postgresql_where=text("status = 'pending'")),
    )

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)  # in the job's `integrations`
    integration: Mapped[dict[str, Any]]
    # failed: given up.
    status: Mapped[str] = mapped_column(default="pending")
    exported_step: Mapped[int] = mapped_column(default=0, server_default="0")
    run_id: Mapped[str | None]
    url: Mapped[str | None]
    due_at: Mapped[datetime]
    tries: Mapped[int] = mapped_column(default=0, server_default="0")  # in a row, all of them in vain
    reason: Mapped[str | None]  # why the last try was in vain
    token: Mapped[int | None] = mapped_column(BigInteger, unique=True)
    lease_expires_at: Mapped[datetime | None]
