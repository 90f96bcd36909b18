from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, Created


class ApiKey(Created, Base):
    """A key, stored as the SHA-256 of its text. Without a project it is an operator's, and sees every project."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str | None] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str]
    sha256: Mapped[str] = mapped_column(unique=True)
    # The last characters of the key, for people who look for it in a list.
    hint: Mapped[str]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
