from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, Created


class WebhookDelivery(Created, Base):
    """An event that one endpoint has to be told. A `cpu` worker claims, leases and fences the row as it does a file's.

    It is inserted by the transaction that ends the job, at whose time the event happened.
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        CheckConstraint("status IN ('pending', 'delivered', 'failed')", name="status"),
        CheckConstraint("(ended_at IS NULL) = (status = 'pending')", name="ended"),
        CheckConstraint("(token IS NULL) = (lease_expires_at IS NULL)", name="lease_with_token"),
        Index("ix_webhook_deliveries_pending", "deliver_at", postgresql_where=text("status = 'pending'")),
        Index("ix_webhook_deliveries_ended_at", "ended_at"),
    )

    # Endpoints that are told of the same event share its id, which is the `webhook-id`.
    endpoint_id: Mapped[str] = mapped_column(ForeignKey("webhook_endpoints.id"), primary_key=True)
    event_id: Mapped[str] = mapped_column(primary_key=True)
    event_type: Mapped[str]
    job_id: Mapped[str]
    # pending: it waits for `deliver_at`, or a worker has it. failed: given up.
    status: Mapped[str] = mapped_column(default="pending")
    deliver_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    # Counted when a try begins, so that tries that kill their worker end, too.
    tries: Mapped[int] = mapped_column(default=0, server_default="0")
    # How the last try ended: what the receiver answered, or why it could not.
    status_code: Mapped[int | None]
    reason: Mapped[str | None]
    token: Mapped[int | None] = mapped_column(BigInteger, unique=True)
    lease_expires_at: Mapped[datetime | None]
