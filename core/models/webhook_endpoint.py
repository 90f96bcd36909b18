from datetime import datetime

from sqlalchemy import Index, String, func
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, Owned


class WebhookEndpoint(Owned, Base):
    """A URL that is told when jobs of its project end. Its secrets have to be readable: deliveries are signed."""

    __tablename__ = "webhook_endpoints"
    __table_args__ = (Index("ix_webhook_endpoints_project_id_created_at_id", "project_id", "created_at", "id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    url: Mapped[str]
    event_types: Mapped[list[str]] = mapped_column(ARRAY(String))
    signing_secret: Mapped[str]
    # The secret before the last rotation, which signs beside the new one for a while.
    previous_secret: Mapped[str | None]
    previous_secret_expires_at: Mapped[datetime | None]
    # The last change of what it is or of its secret.
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    # Its receiver has answered 410; null: it is told.
    disabled_at: Mapped[datetime | None]
    # When a delivery to it was last claimed: endpoints take turns.
    last_tried_at: Mapped[datetime | None]
