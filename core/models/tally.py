from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base


class Tally(Base):
    """The sum of the observations of one name, label and bucket since the deployment was made."""

    __tablename__ = "tallies"

    name: Mapped[str] = mapped_column(primary_key=True)
    label: Mapped[str] = mapped_column(primary_key=True)
    bucket: Mapped[float] = mapped_column(primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)
    total: Mapped[float]
