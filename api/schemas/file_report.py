from typing import Any, Literal

from pydantic import BaseModel

from core.models import File
from core.rows.formats import Format


class Fault(BaseModel):
    """line: of the file, from 1; of a Parquet file, the row. field: the path of the key; empty for the whole row."""

    line: int
    field: str
    message: str


class Bar(BaseModel):
    """How many rows are from `min` to `max` characters long."""

    min: int
    max: int
    rows: int


class Characters(BaseModel):
    """Lengths of rows, in characters of their messages' contents; exact. Null in reports of earlier versions: total,
    and histogram, whose at most 20 bars are wider by about the same factor each, without gaps.
    """

    min: int
    p50: int
    p90: int
    p99: int
    max: int
    mean: float
    total: int | None = None
    histogram: list[Bar] | None = None


class Duplicates(BaseModel):
    """exact: rows that repeat an earlier one. near: of near_rows_compared distinct rows, those nearly like another."""

    exact: int
    near: int
    near_rows_compared: int


class PersonalData(BaseModel):
    """How many rows have the pattern, and the lines of the first; never the values."""

    rows: int
    first_lines: list[int]


class RowsCompared(BaseModel):
    training: int
    validation: int


class Overlap(BaseModel):
    """What the validation file shares with this one, in distinct rows; `exact` is false where rows and prompts are
    estimates."""

    validation_file: str
    rows: int
    prompts: int
    exact: bool
    near_rows: int
    near_rows_compared: RowsCompared


class FileReport(BaseModel):
    """What validation found out about a file; null where it has not ended, or where nothing can be said.

    keys: those that any prompt has, which templates of graders may name.
    """

    object: Literal["file.report"] = "file.report"
    file_id: str
    status: Literal["uploaded", "processed", "error"]
    rows: int | None
    bytes: int
    sha256: str
    format: Format | None = None
    kind: str | None = None
    keys: list[str] | None = None
    faults: list[Fault] = []
    fault_count: int | None = None
    characters: Characters | None = None
    duplicates: Duplicates | None = None
    empty_answers: int | None = None
    refused_answers: int | None = None
    personal_data: dict[str, PersonalData] | None = None
    overlap: Overlap | None = None

    @classmethod
    def of(cls, file: File, *, overlap: dict[str, Any] | None) -> "FileReport":
        own = {
            "file_id": file.id,
            "status": file.status,
            "rows": file.rows,
            "bytes": file.bytes,
            "sha256": file.sha256,
            "overlap": overlap,
        }
        return cls.model_validate({**(file.report or {}), **own})
