"""Rows of a CSV file: comma-separated, quoted with `"`, UTF-8, a header of column names first."""

import csv
import io
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from os import PathLike
from typing import Any

from core.rows.cells import STRUCTURED, check_columns
from core.rows.error import RowError
from core.rows.jsonl import BYTE_ORDER_MARK, LONGEST_LINE, Lines, blocks

BLANK = ("\n", "\r\n")
QUOTED = "\0"  # stands where a cell was quoted
OTHER_SEPARATORS = (";", "\t", "|")


@dataclass(frozen=True)
class Table:
    """Rows of one line each, which have as many cells as the header. Iterating gives (line number, cells by column)."""

    first: int
    header: list[str]
    rows: list[list[str]]

    @property
    def count(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[tuple[int, dict[str, Any]]]:
        for number, cells in enumerate(self.rows, self.first):
            yield number, _by_column(self.header, cells)


def csv_blocks(path: str | PathLike[str]) -> Iterator[Table | list[tuple[int, dict[str, Any] | RowError]]]:
    """Each row as (line on which it begins, its cells or what is wrong), some at once.

    An empty cell of a structured column is absent.

    Raises:
        RowError: bad UTF-8, a row that is too long, quotes that never close; reading cannot go on behind it.
    """
    csv.field_size_limit(LONGEST_LINE)
    text = _Text(blocks(path))
    reader = csv.reader(text, strict=True)
    try:
        header = _header(reader, text)
        while text.has_more():
            if not text.is_long and (rows := _split_all(text.waiting, len(header))):
                yield Table(text.row_line, header, rows)
                text.skip(len(rows))
            while text.waiting:
                if text.waiting[0] in BLANK:
                    text.skip(1)
                else:
                    yield _next_row(reader, text, header)
    except csv.Error as error:
        raise RowError(text.row_line, "", f"not valid CSV ({error})") from None


def _next_row(
    reader: Iterator[list[str]], text: "_Text", header: list[str]
) -> list[tuple[int, dict[str, Any] | RowError]]:
    """That one row, or none where `csv` finds no cell."""
    cells = _split(text.waiting[0])
    if cells is None:
        cells = next(reader)
    else:
        next(text)
    number = text.end_row()
    if len(cells) == len(header):
        return [(number, _by_column(header, cells))]
    words = f"has {len(cells)} cells where the header has {len(header)} columns"
    return [(number, RowError(number, "", words))] if cells else []


def _by_column(header: list[str], cells: list[str]) -> dict[str, Any]:
    return {key: cell for key, cell in zip(header, cells, strict=True) if cell or key not in STRUCTURED}


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


def _split_all(lines: Iterable[str], columns: int) -> list[list[str]] | None:
    """The cells of all lines; None where one of them is no row by itself, or not so many cells."""
    rows: list[list[str]] = []
    for line in lines:
        cells = _split(line)
        if cells is None or len(cells) != columns:
            return None
        rows.append(cells)
    return rows


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
    """Decoded lines, which know where the row that is being read began, and that it may not grow for ever.

    waiting: the lines of the current block that were not read yet. is_long: one of them may be too long for a row.
    """

    def __init__(self, blocks: Iterator[Lines]) -> None:
        self._blocks = blocks
        self._line = self._row_bytes = 0
        self._damage: RowError | None = None
        self.waiting: deque[str] = deque()
        self.is_long = False
        self.row_line = 1

    def __iter__(self) -> "_Text":
        return self

    def __next__(self) -> str:
        if not self.has_more():
            raise StopIteration
        line = self.waiting.popleft()
        self._line += 1
        self._row_bytes += len(line) if line.isascii() else len(line.encode())
        if self._row_bytes > LONGEST_LINE:
            raise self._too_long()
        return line

    def has_more(self) -> bool:
        """Whether a line is left; it waits then."""
        while not self.waiting:
            if self._damage:
                raise self._damage
            try:
                block = next(self._blocks, None)
            except RowError:
                raise self._too_long() from None
            if block is None:
                return False
            self._decode(block)
        return True

    def _decode(self, block: Lines) -> None:
        """What stands before a damaged line is still read."""
        self.is_long = len(block.data) > LONGEST_LINE
        data = block.data.removeprefix(BYTE_ORDER_MARK) if block.first == 1 else block.data
        try:
            # Line by line: all at once would take four bytes a character.
            for line in io.BytesIO(data):
                self.waiting.append(line.decode())
        except UnicodeDecodeError:
            self._damage = RowError(block.first + len(self.waiting), "", "not valid UTF-8")

    def _too_long(self) -> RowError:
        words = f"a row longer than {LONGEST_LINE} bytes, or a quote that never closes"
        return RowError(self.row_line, "", words)

    def end_row(self) -> int:
        """The line on which the row that was just read began; the next one begins behind it."""
        number, self.row_line, self._row_bytes = self.row_line, self._line + 1, 0
        return number

    def skip(self, count: int) -> None:
        """Take so many of those that wait for read; each of them was a row, or blank."""
        self._line += count
        if count == len(self.waiting):
            self.waiting.clear()
        else:
            for _ in range(count):
                self.waiting.popleft()
        self.end_row()
