from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, Sequence
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base

# Fencing tokens: monotonic over all attempts of all jobs, files and webhooks, issued by the claim.
attempt_token = Sequence("attempt_token", metadata=Base.metadata)


class Attempt(Base):
    """One worker's try at one job; its token is its number in the world."""

    __tablename__ = "attempts"
    __table_args__ = (Index("ix_attempts_ended_at", "ended_at"),)

    token: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), index=True)
    worker_id: Mapped[str]
    started_at: Mapped[datetime]
    gpus: Mapped[int] = mapped_column(default=0, server_default="0")  # that it holds
    # How many of the trainer's events are in the database.
    recorded_events: Mapped[int] = mapped_column(default=0, server_default="0")
    # What the job has been charged for this attempt so far, and the bytes of its log that are in the database.
    cpu_seconds: Mapped[float] = mapped_column(default=0.0, server_default="0")
    gpu_seconds: Mapped[float] = mapped_column(default=0.0, server_default="0")
    recorded_log_bytes: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    # For how long something that the trainer had said waited to be in the database, as of the last heartbeat.
    event_lag_seconds: Mapped[float] = mapped_column(default=0.0, server_default="0")
    ended_at: Mapped[datetime | None]
    # succeeded | failed | cancelled | paused | drained | fault | lost
    outcome: Mapped[str | None]
    detail: Mapped[str | None]
