from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, Created


class PromptCheck(Created, Base):
    """A job whose prompts are to be read with its model's tokenizer before it is queued.

    A `cpu` worker claims, leases and fences the row as it does a file's. It goes when the job is queued or ends.
    """

    __tablename__ = "prompt_checks"
    __table_args__ = (CheckConstraint("(token IS NULL) = (lease_expires_at IS NULL)", name="lease_with_token"),)

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    token: Mapped[int | None] = mapped_column(BigInteger, unique=True)
    lease_expires_at: Mapped[datetime | None]
