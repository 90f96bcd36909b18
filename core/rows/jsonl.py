"""Lines of a JSONL file, in one pass and bounded memory."""

from collections.abc import Iterator
from typing import BinaryIO

from core.rows.fault import RowFault

LONGEST_LINE = 16 * 1024 * 1024  # bytes


def lines(source: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """(line number, line) of every line that is not blank.

    Raises:
        RowFault: a line is longer than LONGEST_LINE; reading cannot go on behind it.
    """
    number, rest = 0, b""
    while chunk := source.read(1024 * 1024):
        *complete, rest = (rest + chunk).split(b"\n")
        for line in complete:
            number += 1
            if line.strip():
                yield number, line
        if len(rest) > LONGEST_LINE:
            raise RowFault(number + 1, "", f"longer than {LONGEST_LINE} bytes")
    if rest.strip():
        yield number + 1, rest
