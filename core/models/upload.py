from datetime import datetime

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, Owned


class Upload(Owned, Base):
    """A large file that arrives in parts. Completing it makes a file of the parts, in the order that is named then."""

    __tablename__ = "uploads"
    __table_args__ = (
        CheckConstraint("status IN ('pending', 'completed', 'cancelled', 'expired')", name="status"),
        Index("ix_uploads_pending", "expires_at", postgresql_where=text("status = 'pending'")),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    filename: Mapped[str]
    purpose: Mapped[str]
    bytes: Mapped[int] = mapped_column(BigInteger)  # as announced; the parts have to sum up to it
    mime_type: Mapped[str]
    status: Mapped[str]
    expires_at: Mapped[datetime]
    # Seconds that the file lives once it is made; null: for ever.
    file_expires_after: Mapped[int | None] = mapped_column(BigInteger)
    file_id: Mapped[str | None] = mapped_column(ForeignKey("files.id"))
    # Of what the file was made, and what came of it: who completes it again must mean the same.
    part_ids: Mapped[list[str] | None] = mapped_column(ARRAY(String))
    md5: Mapped[str | None]
