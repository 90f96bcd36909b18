from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base


class Event(Base):
    """What happened to a job. `seq` counts from 1 without gaps and is the stream's cursor."""

    __tablename__ = "events"
    __table_args__ = (UniqueConstraint("id"),)

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    id: Mapped[str]
    # Not the transaction's time: events of one transaction keep their order in lists sorted by time.
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    level: Mapped[str]
    type: Mapped[str]
    message: Mapped[str]
    data: Mapped[dict[str, Any] | None]
