from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base


class Checkpoint(Base):
    """A published checkpoint: whole in the store and read back before this row was written."""

    __tablename__ = "checkpoints"
    __table_args__ = (UniqueConstraint("job_id", "step"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"))
    token: Mapped[int] = mapped_column(BigInteger)
    step: Mapped[int]
    created_at: Mapped[datetime]
    prefix: Mapped[str]
    # [{name, bytes, sha256}] of the folder, as in the manifest beside it.
    manifest: Mapped[list[dict[str, Any]]]
    metrics: Mapped[dict[str, Any]]
    trained_tokens: Mapped[int] = mapped_column(BigInteger)
