# pyright: standard, reportMissingImports=false
# Copied from core/rows/csvfile.py by sdk/tools/copy_core.py: change it there.
"""Rows of a CSV file: comma-separated, quoted with `"`, UTF-8, a header of column names first."""

import csv
from collections.abc import Iterator
from os import PathLike
from typing import IO, Any

from tunesmith.rules.cells import STRUCTURED, check_columns
from tunesmith.rules.error import RowError
from tunesmith.rules.jsonl import BUFFER, BYTE_ORDER_MARK, LONGEST_LINE

QUOTED = "\0"  # stands where a cell was quoted
OTHER_SEPARATORS = (";", "\t", "|")


def csv_rows(path: str | PathLike[str]) -> Iterator[tuple[int, dict[str, Any] | RowError]]:
    """(line on which the row begins, its cells or what is wrong); an empty cell of a structured column is absent.

    Raises:
        RowError: bad UTF-8, a row that is too long, quotes that never close; reading cannot go on behind it.
    """
    csv.field_size_limit(LONGEST_LINE)
    with open(path, "rb", buffering=BUFFER) as file:
        text = _Text(file)
        reader = csv.reader(text, strict=True)
        try:
            header = _header(reader, text)
            structured = [key for key in header if key in STRUCTURED]
            for line in text:
                cells = _split(line)
                if cells is None:
                    text.put_back(line)
                    cells = next(reader)
                number = text.end_row()
                if len(cells) == len(header):
                    row = dict(zip(header, cells))  # noqa: B905 - their number was just compared
                    for key in structured:
                        if not row[key]:
                            del row[key]
                    yield number, row
                elif cells:
                    words = f"has {len(cells)} cells where the header has {len(header)} columns"
                    yield number, RowError(number, "", words)
        except csv.Error as error:
            raise RowError(text.row_line, "", f"not valid CSV ({error})") from None


def _header(reader: Iterator[list[str]], text: "_Text") -> list[str]:
    """The names of the columns, from the first row that is not blank."""
    for cells in reader:
        line = text.end_row()
        if not cells:
            continue
        header = [column.strip() for column in cells]
        check_columns(header)
        for separator in OTHER_SEPARATORS:
            if len(header) == 1 and separator in header[0]:
                raise RowError(line, "", f"the columns are separated by {separator!r}; commas are needed")
        return header
    return []


def _split(line: str) -> list[str] | None:
    """The cells of a line that is a row by itself and quotes whole cells at most, which most are; three times as fast.

    None where only `csv` can tell: quotes that are doubled, or stay open until a later line.
    """
    line = line.removesuffix("\n").removesuffix("\r")
    if not line or "\r" in line or QUOTED in line:
        return None
    pieces = line.split('"')
    quoted = pieces[1::2]
    cells = QUOTED.join(pieces[::2]).split(",")
    if not quoted:
        return cells
    if len(pieces) % 2 == 0 or cells.count(QUOTED) != len(quoted):
        return None
    following = iter(quoted)
    return [next(following) if cell == QUOTED else cell for cell in cells]


class _Text:
    """Decoded lines, which know where the row that is being read began, and that it may not grow for ever."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._line = self._row_bytes = 0
        self._put_back: str | None = None
        self.row_line = 1

    def __iter__(self) -> "_Text":
        return self

    def __next__(self) -> str:
        if (again := self._put_back) is not None:
            self._put_back = None
            return again
        line = self._file.readline(LONGEST_LINE + 1)
        if not line:
            raise StopIteration
        self._line += 1
        self._row_bytes += len(line)
        if self._row_bytes > LONGEST_LINE:
            words = f"a row longer than {LONGEST_LINE} bytes, or a quote that never closes"
            raise RowError(self.row_line, "", words)
        try:
            return (line.removeprefix(BYTE_ORDER_MARK) if self._line == 1 else line).decode()
        except UnicodeDecodeError:
            raise RowError(self._line, "", "not valid UTF-8") from None

    def put_back(self, line: str) -> None:
        """It was read just now, and is what comes next."""
        self._put_back = line

    def end_row(self) -> int:
        """The line on which the row that was just read began; the next one begins behind it."""
        number, self.row_line, self._row_bytes = self.row_line, self._line + 1, 0
        return number
