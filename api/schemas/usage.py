from typing import Any, Literal

from pydantic import BaseModel
from sqlalchemy import Row


class UsageObject(BaseModel):
    """What so many jobs have cost; a field by which was not grouped is null."""

    object: Literal["usage"] = "usage"
    project_id: str | None
    api_key_id: str | None
    model: str | None
    day: str | None
    jobs: int
    cpu_seconds: float
    gpu_seconds: float
    trained_tokens: int
    input_bytes: int
    output_bytes: int

    @classmethod
    def of(cls, row: Row[Any]) -> "UsageObject":
        return cls(**{**row._mapping, "day": row.day.isoformat() if row.day else None})
