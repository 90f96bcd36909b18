from dataclasses import dataclass

from sqlalchemy import ColumnElement, true
from sqlalchemy.orm import InstrumentedAttribute


@dataclass(frozen=True)
class Owner:
    """Whose rows a request may touch: one project's, or, for operators, everybody's."""

    key_id: str
    project_id: str | None
    # Requests a minute that this project may make; null: as the settings say.
    rate_limit_per_minute: int | None = None

    def owns(self, project_id: InstrumentedAttribute[str]) -> ColumnElement[bool]:
        """The condition that every query for this owner carries."""
        return true() if self.project_id is None else project_id == self.project_id
