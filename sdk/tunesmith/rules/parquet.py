# pyright: standard, reportMissingImports=false
# Copied from core/rows/parquet.py by sdk/tools/copy_core.py: change it there.
"""Rows of a Parquet file, a few at a time."""

from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from tunesmith.rules.cells import check_columns, from_text
from tunesmith.rules.error import RowError
from tunesmith.rules.jsonl import HIGHEST_RATIO, LEAST_ROW, LONGEST_LINE, most_decoded

MOST_FOOTER = 16 * 1024 * 1024  # bytes of metadata at the end of the file
MOST_GROUP = 512 * 1024 * 1024  # bytes that a row group may say to decode to
BATCH = 64  # rows


def parquet_rows(path: str | PathLike[str]) -> Iterator[tuple[int, dict[str, Any] | RowError]]:
    """(row number from 1, row or what is wrong with it). A null is absent, also inside of nested values.

    What the metadata says is checked before anything is decoded; that it may lie is what a limited process is for.

    Raises:
        RowError: damaged, encrypted or not within the limits; reading cannot go on behind it.
    """
    number, texts = 0, _Texts(most_decoded(Path(path).stat().st_size))
    try:
        _check_footer(Path(path))
        with pyarrow.parquet.ParquetFile(path, memory_map=False, pre_buffer=False, buffer_size=1024 * 1024) as file:
            _check(file, most=texts.most)
            for batch in file.iter_batches(batch_size=BATCH, use_threads=False):
                columns = {name: batch.column(i) for i, name in enumerate(batch.schema.names)}
                for i in range(batch.num_rows):
                    number += 1
                    yield number, _row(number, {name: column[i].as_py() for name, column in columns.items()}, texts)
    except MemoryError:
        raise RowError(number + 1, "", "decoding these rows takes more memory than is allowed") from None
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise RowError(number + 1, "", f"the Parquet data is damaged or cut off ({str(error)[:200]})") from None


def _check_footer(path: Path) -> None:
    with path.open("rb") as file:
        file.seek(-8, 2)
        tail = file.read()
    size = int.from_bytes(tail[:4], "little")
    if tail[4:] != b"PAR1":
        raise RowError(1, "", "the Parquet data is cut off: its last bytes are missing")
    if size > MOST_FOOTER:
        raise RowError(1, "", f"{size} bytes of Parquet metadata; at most {MOST_FOOTER} are allowed")


def _check(file: pyarrow.parquet.ParquetFile, *, most: int) -> None:
    names = file.schema_arrow.names
    check_columns(names)
    metadata = file.metadata
    decoded = 0
    for i in range(metadata.num_row_groups):
        size = metadata.row_group(i).total_byte_size
        decoded += size
        if size > MOST_GROUP:
            raise RowError(1, "", f"row group {i} decodes to {size} bytes; write groups of at most {MOST_GROUP}")
    if decoded > most:
        raise _bomb(1, most)


def _bomb(number: int, most: int) -> RowError:
    return RowError(number, "", f"the Parquet data grows to more than {most} bytes: {HIGHEST_RATIO} times its size")


def _row(number: int, row: dict[str, Any], texts: "_Texts") -> dict[str, Any] | RowError:
    before = texts.characters
    texts.characters += LEAST_ROW
    present = {key: texts.present(value) for key, value in row.items() if value is not None}
    if texts.characters > texts.most:
        raise _bomb(number, texts.most)
    if texts.characters - before > LONGEST_LINE:
        return RowError(number, "", f"longer than {LONGEST_LINE} characters")
    try:
        return {key: from_text(number, key, value) for key, value in present.items()}
    except RowError as fault:
        return fault


class _Texts:
    """Counts characters as values come: a value that is stored once may stand in every row."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.characters = 0

    def present(self, value: Any) -> Any:
        """A struct has each of its fields in every row: those that are null were never given."""
        if isinstance(value, dict):
            return {key: self.present(item) for key, item in value.items() if item is not None}
        if isinstance(value, list):
            return [self.present(item) for item in value]
        if isinstance(value, str):
            self.characters += len(value)
        return value
