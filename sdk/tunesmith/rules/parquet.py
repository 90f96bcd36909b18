# pyright: standard, reportMissingImports=false
# Copied from core/rows/parquet.py by sdk/tools/copy_core.py: change it there.
"""Rows of a Parquet file, a few at a time."""

import math
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
from pyarrow import types

from tunesmith.rules.cells import check_columns
from tunesmith.rules.error import RowError
from tunesmith.rules.jsonl import HIGHEST_RATIO, LEAST_ROW, LONGEST_LINE, most_decoded

MOST_FOOTER = 16 * 1024 * 1024  # bytes of metadata at the end of the file
MOST_GROUP = 512 * 1024 * 1024  # bytes that a row group may say to decode to
BATCH = 256  # rows
PAGE = 64 * 1024  # bytes that are read of a column at once


def parquet_rows(path: str | PathLike[str]) -> Iterator[tuple[int, dict[str, Any] | RowError]]:
    """(row number from 1, its cells or what is wrong with it).

    What the metadata says is checked before anything is decoded; that it may lie is what a limited process is for.

    Raises:
        RowError: damaged, encrypted or not within the limits; reading cannot go on behind it.
    """
    number, decoded, most = 0, 0, most_decoded(Path(path).stat().st_size)
    try:
        _check_footer(Path(path))
        with pyarrow.parquet.ParquetFile(path, memory_map=False, pre_buffer=False, buffer_size=PAGE) as file:
            _check(file, most=most)
            for batch in file.iter_batches(batch_size=BATCH, use_threads=False):
                for rows, size in _parts(batch):
                    decoded += size + LEAST_ROW * len(rows)
                    if decoded > most:
                        raise _bomb(number + 1, most)
                    for row in rows:
                        number += 1
                        yield number, _too_long(number) if size > LONGEST_LINE else row
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


def _parts(batch: pyarrow.RecordBatch) -> Iterator[tuple[list[dict[str, Any]], int]]:
    """(rows, size of their texts): as many rows as have no more than LONGEST_LINE, or a single one.

    The size is in bytes; of a single row in characters, which are what is limited.
    """
    size = sum(map(_text_bytes, batch.columns))
    if batch.num_rows == 1:
        row = batch.to_pylist()
        yield row, _characters(row)
    elif size <= LONGEST_LINE:
        yield batch.to_pylist(), int(size)
    else:
        half = batch.num_rows // 2
        yield from _parts(batch.slice(0, half))
        yield from _parts(batch.slice(half))


def _text_bytes(array: pyarrow.Array) -> float:
    """Infinite where it takes decoding to know: a value that is stored once may stand in every row."""
    kind = array.type
    if len(array) == 0 or types.is_primitive(kind) or types.is_null(kind):
        return 0
    if types.is_struct(kind):
        return sum(map(_text_bytes, array.flatten()))
    if types.is_list(kind) or types.is_large_list(kind):
        return _text_bytes(array.flatten())
    if types.is_string(kind) or types.is_large_string(kind):
        offsets = memoryview(array.buffers()[1]).cast("i" if types.is_string(kind) else "q")
        return offsets[array.offset + len(array)] - offsets[array.offset]
    return math.inf


def _characters(value: Any) -> int:
    """Those of all texts in a value."""
    if isinstance(value, str):
        return len(value)
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return sum(map(_characters, items))


def _too_long(number: int) -> RowError:
    return RowError(number, "", f"longer than {LONGEST_LINE} characters")
