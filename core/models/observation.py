from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base


class Observation(Base):
    """Something that happened, for operators' figures, written by the transaction in which it did; soon added up."""

    __tablename__ = "observations"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    name: Mapped[str]
    label: Mapped[str]
    # Of a histogram the upper bound under which the value falls; 0 for what is only counted.
    bucket: Mapped[float]
    value: Mapped[float]
