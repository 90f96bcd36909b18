from datetime import datetime

from sqlalchemy import BigInteger
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base


class Worker(Base):
    """A worker process as it last reported itself. This is for people to see; leases, not this row, decide."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(primary_key=True)
    queue: Mapped[str]
    slots: Mapped[int]
    # GPU indices; empty: this worker trains on the CPU.
    devices: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    current_attempts: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    # What one slot may use: its GPU's memory, else its share of the machine's; null: not known.
    memory_bytes: Mapped[int | None] = mapped_column(BigInteger)
    # What the process and all that it has started hold in memory; null: it does not say.
    resident_bytes: Mapped[int | None] = mapped_column(BigInteger)
    host: Mapped[str | None]
    # The disk that holds its work folder; null: it has none.
    disk_bytes: Mapped[int | None] = mapped_column(BigInteger)
    disk_free_bytes: Mapped[int | None] = mapped_column(BigInteger)
    started_at: Mapped[datetime]
    last_seen: Mapped[datetime]
