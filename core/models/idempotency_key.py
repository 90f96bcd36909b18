from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, Created


class IdempotencyKey(Created, Base):
    """What a request with an Idempotency-Key was answered, written in the transaction that did what it asked for."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index("ix_idempotency_keys_created_at", "created_at"),)

    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    # SHA-256 over method, path and body: the same key with another request is refused.
    request_sha256: Mapped[str]
    status_code: Mapped[int]
    response: Mapped[dict[str, Any]]
