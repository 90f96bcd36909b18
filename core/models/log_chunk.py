from sqlalchemy import BigInteger, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, Created


class LogChunk(Created, Base):
    """Some lines of a trainer's own output. `seq` counts from 1 within the job, over all attempts."""

    __tablename__ = "log_chunks"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    token: Mapped[int] = mapped_column(BigInteger)
    text: Mapped[str]
