# pyright: standard
# Copied from core/rows/jsonl.py by sdk/tools/copy_core.py: change it there.
"""Lines of a JSONL file, in one pass and bounded memory."""

from collections.abc import Iterator
from os import PathLike
from typing import Protocol

from tunesmith.rules.error import RowError

LONGEST_LINE = 16 * 1024 * 1024  # bytes
CHUNK = 1024 * 1024  # bytes


class Readable(Protocol):
    """All that is asked of a binary file: an upload's stream has no more."""

    def read(self, size: int, /) -> bytes: ...


def iterate(source: str | PathLike[str] | Readable) -> Iterator[tuple[int, bytes]]:
    """(line number, line) of every line that is not blank; only a last line that nothing follows lacks its newline.

    Raises:
        RowError: a line is longer than LONGEST_LINE; reading cannot go on behind it.
    """
    if isinstance(source, str | PathLike):
        with open(source, "rb") as file:
            yield from iterate(file)
        return
    number, rest = 0, b""
    while chunk := source.read(CHUNK):
        *complete, rest = (rest + chunk).split(b"\n")
        for line in complete:
            number += 1
            if len(line) > LONGEST_LINE:
                raise _too_long(number)
            if line.strip():
                yield number, line + b"\n"
        if len(rest) > LONGEST_LINE:
            raise _too_long(number + 1)
    if rest.strip():
        yield number + 1, rest


def _too_long(number: int) -> RowError:
    return RowError(number, "", f"longer than {LONGEST_LINE} bytes")
