"""Files of rows in every format, for tests."""

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

Row = dict[str, Any]


def jsonl(rows: list[Row]) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


def gzipped(rows: list[Row]) -> bytes:
    return gzip.compress(jsonl(rows))


def parquet(rows: list[Row]) -> bytes:
    """Messages nested; tools as JSON text, as their schemas differ from row to row."""
    buffer = io.BytesIO()
    columns = {key: [row.get(key) for row in rows] for key in dict.fromkeys(key for row in rows for key in row)}
    if "tools" in columns:
        columns["tools"] = [value and json.dumps(value) for value in columns["tools"]]
    pyarrow.parquet.write_table(pyarrow.table(columns), buffer)
    return buffer.getvalue()


def as_csv(rows: list[Row]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(dict.fromkeys(key for row in rows for key in row)))
    writer.writeheader()
    writer.writerows(
        {key: value if isinstance(value, str) else json.dumps(value) for key, value in row.items()} for row in rows
    )
    return text.getvalue().encode()


FORMATS: dict[str, Callable[[list[Row]], bytes]] = {
    "jsonl": jsonl,
    "jsonl.gz": gzipped,
    "parquet": parquet,
    "csv": as_csv,
}


def write(folder: Path, content: bytes) -> Path:
    path = folder / "rows"
    path.write_bytes(content)
    return path
