"""Rows of a Parquet file, a few at a time, as lines of JSON."""

import io
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any

import arro3.io
import msgspec
from arro3.core import DataType, Field

from core.rows.cells import STRUCTURED, check_columns
from core.rows.error import RowError
from core.rows.jsonl import HIGHEST_RATIO, LEAST_ROW, LONGEST_LINE, Lines, most_decoded
from core.rows.kinds import OTHER_KEYS
from core.rows.text import TEXT_KEY

MOST_FOOTER = 16 * 1024 * 1024  # bytes of metadata at the end of the file
BATCH = 32  # rows that are decoded at once, so that long ones need little memory
Rows = Iterator[tuple[int, bytes | dict[str, Any] | RowError]]
NEEDED = "text, numbers, true and false, and lists and structs of them are needed"


def parquet_blocks(path: str | PathLike[str]) -> Iterator[Lines | Rows]:
    """Each row as (number from 1, its line of JSON or what is wrong with it), some at once.

    Its cells instead of a line where some hold JSON text themselves. That what the file says of itself may be a lie is
    what a limited process is for.

    Raises:
        RowError: damaged, encrypted or not within the limits; reading cannot go on behind it.
    """
    number, decoded, most = 0, 0, most_decoded(Path(path).stat().st_size)
    try:
        _check_footer(Path(path))
        batches = arro3.io.read_parquet(str(path), batch_size=BATCH)
        fields = _read_columns([batches.schema.field(i) for i in range(len(batches.schema))])
        cells = any(_is_text(field.type) for field in fields if field.name in (*STRUCTURED, "label"))
        for batch in batches:
            rows = io.BytesIO()
            read = batch.select([field.name for field in fields])
            arro3.io.write_ndjson(read, rows)  # without nulls, also nested ones: what is null was never given
            decoded += rows.tell() + LEAST_ROW * batch.num_rows
            if decoded > most:
                reason = f"the Parquet data grows to more than {most} bytes: {HIGHEST_RATIO} times its size"
                raise RowError(number + 1, "", reason)
            lines = Lines(number + 1, rows.getvalue(), batch.num_rows)
            yield _one_by_one(lines, cells=cells) if cells or len(lines.data) > LONGEST_LINE else lines
            number += batch.num_rows
    except RowError:
        raise
    except BaseException as error:
        if not _is_of_reader(error):
            raise
        reason = str(error).rpartition("an `Err` value: ")[2]
        raise RowError(number + 1, "", f"the Parquet data is damaged or cut off ({reason:.200})") from None


def _one_by_one(lines: Lines, *, cells: bool) -> Rows:
    """A row that is too long stops no other here: all of them have been read. Decoded ones take many times the room."""
    for number, line in enumerate(io.BytesIO(lines.data), lines.first):
        if len(line) > LONGEST_LINE:
            yield number, RowError(number, "", f"longer than {LONGEST_LINE} bytes")
        else:
            yield number, msgspec.json.decode(line) if cells else line


def _is_of_reader(error: BaseException) -> bool:
    """It raises plain exceptions and, for some damage, the panics of its language, which are no Exception."""
    return type(error) is Exception or type(error).__module__ == "pyo3_runtime" or isinstance(error, OSError)


def _check_footer(path: Path) -> None:
    with path.open("rb") as file:
        file.seek(-8, 2)
        tail = file.read()
    size = int.from_bytes(tail[:4], "little")
    if tail[4:] != b"PAR1":
        raise RowError(1, "", "the Parquet data is cut off: its last bytes are missing")
    if size > MOST_FOOTER:
        raise RowError(1, "", f"{size} bytes of Parquet metadata; at most {MOST_FOOTER} are allowed")


def _read_columns(fields: list[Field]) -> list[Field]:
    """Those that are read, checked: of documents, whose files have columns of any type, the text alone."""
    names = {field.name for field in fields}
    check_columns([field.name for field in fields])
    if TEXT_KEY in names and not OTHER_KEYS & names:
        fields = [field for field in fields if field.name == TEXT_KEY]
    for field in fields:
        if not _is_json(field.type):
            kind = str(field.type).strip().removeprefix("arro3.core.DataType")
            raise RowError(1, f"{field.name:.60}", f"its type is {kind:.100}; {NEEDED}")
    return fields


def _is_json(kind: DataType) -> bool:
    """Whether it has a JSON value that means the same: bytes and times, say, have none."""
    if DataType.is_struct(kind):
        return all(_is_json(field.type) for field in kind.fields)
    if DataType.is_list(kind) or DataType.is_large_list(kind):
        return kind.value_type is not None and _is_json(kind.value_type)
    return _is_text(kind) or any(
        test(kind) for test in (DataType.is_integer, DataType.is_floating, DataType.is_boolean, DataType.is_null)
    )


def _is_text(kind: DataType) -> bool:
    if DataType.is_dictionary(kind):
        return kind.value_type is not None and _is_text(kind.value_type)
    return DataType.is_string(kind) or DataType.is_large_string(kind) or DataType.is_string_view(kind)
