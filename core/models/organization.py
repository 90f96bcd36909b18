from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, Created


class Organization(Created, Base):
    """Who runs this installation, or one of its tenants; its name stands in the names of fine-tuned models."""

    __tablename__ = "organizations"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
