# pyright: standard, reportMissingImports=false
# Copied from core/rows/read.py by sdk/tools/copy_core.py: change it there.
"""Rows of a file, whichever format it has: what trainers and estimates read, and what validation judges."""

from collections.abc import Iterable, Iterator
from os import PathLike
from typing import Any

from tunesmith.rules import cells
from tunesmith.rules.csvfile import Table, csv_blocks
from tunesmith.rules.error import RowError
from tunesmith.rules.formats import Format, detect
from tunesmith.rules.jsonl import Lines, blocks, decode
from tunesmith.rules.kinds import Row, to_row
from tunesmith.rules.prompt import Prompt, to_prompt_row
from tunesmith.rules.text import pieces

# A line of JSONL, the cells of a table's row, or what is wrong with that.
Raw = bytes | dict[str, Any] | RowError
# (row number, row) of some rows after another; the first two know how to give many at once.
Block = Lines | Table | Iterable[tuple[int, Raw]]


def rows(path: str | PathLike[str]) -> Iterator[tuple[int, Row]]:
    """(number, row) of every row, in the file's order; the number is that of faults: of the line, in text.

    Raises:
        RowError: nothing can be learnt from a row.
    """
    format = detect(path)
    if format == "txt":
        yield from pieces(path)
        return
    for block in raw_blocks(path, format):
        for number, raw in block:
            yield number, to_row(number, decoded(number, raw))


def prompts(path: str | PathLike[str]) -> Iterator[tuple[int, Prompt]]:
    """(number, prompt) of every row, likewise.

    Raises:
        RowError: a row asks nothing.
    """
    for block in raw_blocks(path, detect(path)):
        for number, raw in block:
            yield number, to_prompt_row(number, decoded(number, raw))


def raw_blocks(path: str | PathLike[str], format: Format) -> Iterator[Block]:
    """All rows, as far as the format can tell them apart.

    Raises:
        RowError: reading cannot go on; iterating a block may raise it too.
    """
    if format == "csv":
        return csv_blocks(path)
    if format == "parquet":
        from tunesmith.rules.parquet import parquet_blocks  # only those who read Parquet pay for it

        return parquet_blocks(path)
    return blocks(path, gzipped=format == "jsonl.gz")


def decoded(number: int, raw: Raw) -> dict[str, Any]:
    """The row as an object.

    Raises:
        RowError: it is none.
    """
    if isinstance(raw, RowError):
        raise raw
    return decode(number, raw) if isinstance(raw, bytes) else cells.to_row(number, raw)
