# pyright: standard, reportMissingImports=false
# Copied from core/rows/read.py by sdk/tools/copy_core.py: change it there.
"""Rows of a file, whichever format it has: what trainers and estimates read, and what validation judges."""

from collections.abc import Iterator
from os import PathLike
from typing import Any

from tunesmith.rules import cells
from tunesmith.rules.csvfile import csv_rows
from tunesmith.rules.error import RowError
from tunesmith.rules.formats import Format, detect
from tunesmith.rules.jsonl import decode, lines
from tunesmith.rules.kinds import Row, to_row

# A line of JSONL, the cells of a table's row, or what is wrong with that.
Raw = bytes | dict[str, Any] | RowError


def rows(path: str | PathLike[str]) -> Iterator[tuple[int, Row]]:
    """(number, row) of every row, in the file's order; the number is that of faults: of the line, in text.

    Raises:
        RowError: nothing can be learnt from a row.
    """
    for number, raw in raw_rows(path, detect(path)):
        yield number, to_row(number, decoded(number, raw))


def raw_rows(path: str | PathLike[str], format: Format) -> Iterator[tuple[int, Raw]]:
    """(row number, row), as far as the format can tell rows apart.

    Raises:
        RowError: reading cannot go on.
    """
    if format == "csv":
        return csv_rows(path)
    if format == "parquet":
        from tunesmith.rules.parquet import parquet_rows  # only those who read Parquet pay for it

        return parquet_rows(path)
    return lines(path, gzipped=format == "jsonl.gz")


def decoded(number: int, raw: Raw) -> dict[str, Any]:
    """The row as an object.

    Raises:
        RowError: it is none.
    """
    if isinstance(raw, RowError):
        raise raw
    return decode(number, raw) if isinstance(raw, bytes) else cells.to_row(number, raw)
