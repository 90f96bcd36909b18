from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, Created


class Project(Created, Base):
    """The owner of files, jobs and models; what one project has, no other sees."""

    __tablename__ = "projects"
    __table_args__ = (
        UniqueConstraint("organization_id", "name"),
        CheckConstraint("max_running_jobs >= 0", name="max_running_jobs"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    organization_id: Mapped[str] = mapped_column(ForeignKey("organizations.id"))
    name: Mapped[str]
    # The quota that the claim respects; null: no limit.
    max_running_jobs: Mapped[int | None]
    # Requests a minute over all keys of the project; null: TUNESMITH_RATE_LIMIT_PER_MINUTE.
    rate_limit_per_minute: Mapped[int | None]
