# pyright: standard, reportMissingImports=false
# Copied from core/rows/cells.py by sdk/tools/copy_core.py: change it there.
"""What the two kinds of tables have in common: one column a key, structured values as JSON text."""

from collections.abc import Sequence
from typing import Any

import msgspec

from tunesmith.rules.error import RowError

STRUCTURED = ("messages", "tools", "parallel_tool_calls")
MOST_COLUMNS = 64


def check_columns(columns: Sequence[str]) -> None:
    """Raises RowError where rows could not be told apart by column."""
    if len(columns) > MOST_COLUMNS:
        raise RowError(1, "", f"{len(columns)} columns; at most {MOST_COLUMNS} are allowed")
    for i, column in enumerate(columns):
        if column in columns[:i]:
            raise RowError(1, f"{column:.60}", "two columns have this name")


def from_text(number: int, key: str, value: Any) -> Any:
    """A cell's value: that of a structured column is JSON where it is text."""
    if key not in STRUCTURED or not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise RowError(number, key, f"not valid JSON ({error})") from None
