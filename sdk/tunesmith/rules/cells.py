# pyright: standard, reportMissingImports=false
# Copied from core/rows/cells.py by sdk/tools/copy_core.py: change it there.
"""What the two kinds of tables have in common: one column a key, structured values as JSON text."""

from collections.abc import Sequence
from typing import Any

import msgspec

from tunesmith.rules.error import RowError

STRUCTURED = ("messages", "tools", "parallel_tool_calls", "responses", "margin")
LABELS = {"true": True, "false": False}  # as text, whatever its case: spreadsheets write TRUE, pandas True
MOST_COLUMNS = 64


def check_columns(columns: Sequence[str]) -> None:
    """Raises RowError where rows could not be told apart by column."""
    if len(columns) > MOST_COLUMNS:
        raise RowError(1, "", f"{len(columns)} columns; at most {MOST_COLUMNS} are allowed")
    for i, column in enumerate(columns):
        if column in columns[:i]:
            raise RowError(1, f"{column:.60}", "two columns have this name")


def to_row(number: int, cells: dict[str, Any]) -> dict[str, Any]:
    """The row that a table's cells are: a null, also one inside of a nested value, is absent.

    Raises:
        RowError: the text of a structured cell is not valid JSON.
    """
    return {key: _value(number, key, _present(cell)) for key, cell in cells.items() if cell is not None}


def _present(value: Any) -> Any:
    """A struct has each of its fields in every row: those that are null were never given."""
    if isinstance(value, dict):
        return {key: _present(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_present(item) for item in value]
    return value


def _value(number: int, key: str, value: Any) -> Any:
    """That of a structured column is JSON where it is text, and a label's text is true or false."""
    if key == "label" and isinstance(value, str):
        return LABELS.get(value.lower(), value)
    if key not in STRUCTURED or not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise RowError(number, key, f"not valid JSON ({error})") from None
