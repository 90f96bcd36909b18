# pyright: standard, reportMissingImports=false
# Copied from core/rows/formats.py by sdk/tools/copy_core.py: change it there.
"""Which format a file has: from its bytes, but that its name says which text is plain."""

import csv
import os
from os import PathLike
from typing import Literal

from tunesmith.rules.error import RowError

Format = Literal["jsonl", "jsonl.gz", "parquet", "csv", "txt"]
HEAD = 64 * 1024  # bytes that are looked at
# The columns that a table's header is known by.
COLUMNS = (
    "messages",
    "prompt",
    "completion",
    "instruction",
    "response",
    "problem",
    "reasoning",
    "chosen",
    "rejected",
    "label",
    "text",
)
REFUSED = {
    b"PK\x03\x04": "a ZIP archive or a spreadsheet",
    b"\x28\xb5\x2f\xfd": "zstd data",
    b"BZh": "bzip2 data",
    b"\xfd7zXZ\x00": "xz data",
    b"\xff\xfe": "text in UTF-16",
    b"\xfe\xff": "text in UTF-16",
    b"%PDF": "a PDF document",
}
NEEDED = "JSONL, gzipped JSONL, Parquet, CSV or plain text (.txt) is needed"


def detect(path: str | PathLike[str], *, name: str | None = None) -> Format:
    """The format of a file of rows: the bytes decide, but that text without an object in front may be plain.

    That it is plain its name has to say.

    Args:
        name: what its author called it; None: as at `path`.

    Raises:
        RowError: none of the formats; the words say what it looks like, or what its name promised.
    """
    with open(path, "rb") as file:
        head = file.read(HEAD)
    if head.startswith(b"\x1f\x8b"):
        return "jsonl.gz"
    if head.startswith(b"PAR1"):
        return "parquet"
    for magic, what in REFUSED.items():
        if head.startswith(magic):
            raise RowError(1, "", f"the file is {what}; {NEEDED}")
    suffix = os.fspath(name or path).lower().rpartition(".")[2]
    promised = {"parquet": "Parquet", "gz": "gzip"}.get(suffix)
    if promised:
        raise RowError(1, "", f"the file is named .{suffix} but holds no {promised} data; {NEEDED}")
    if b"\0" in head:
        raise RowError(1, "", f"the file holds binary data; {NEEDED}")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if suffix == "txt" and not text.startswith(b"{"):
        return "txt"
    if text.startswith((b"{", b"[")) or not text:
        return "jsonl"
    return "csv" if suffix == "csv" or has_header(text) else "jsonl"


def has_header(text: bytes) -> bool:
    """Whether it begins with the header of a table that rows could be read from."""
    first = text.partition(b"\n")[0].decode("utf-8", "replace")
    try:
        columns = next(csv.reader([first]), [])
    except csv.Error:
        return False
    return any(column.strip() in COLUMNS for column in columns)
