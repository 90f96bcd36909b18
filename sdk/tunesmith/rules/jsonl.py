# pyright: standard, reportMissingImports=false
# Copied from core/rows/jsonl.py by sdk/tools/copy_core.py: change it there.
"""Lines of a JSONL file, plain or gzipped, in one pass and bounded memory."""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike, fstat
from typing import IO, Any, cast

import msgspec

from tunesmith.rules.error import RowError
from tunesmith.rules.formats import has_header
from tunesmith.rules.values import kind_of

LONGEST_LINE = 4 * 1024 * 1024  # bytes; a million tokens or so, and what decoding takes many times over
BLOCK = 128 * 1024  # bytes that are read at once
PIECE = 8 * 1024  # bytes, of which a damaged gzip may lose as many
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Text compresses three- to tenfold, very repetitive rows a hundredfold; bombs reach a thousandfold.
HIGHEST_RATIO = 200
SMALL = 64 * 1024 * 1024  # bytes that may come out of a file however small it is
MOST_DECODED = 16 * 1024**3  # bytes
LONGEST_EXPLAINED = 64 * 1024  # bytes of a faulty line that is searched for what it lacks
NEWLINE = b"\r\n"
ONE_LINE = "in JSONL each line is one whole object, from { to }, with no list around"
STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*("?)', re.DOTALL)  # its group is empty where nothing closes it
MARK = re.compile(rb'[][{}"]')
CLOSING = {b"{": "}", b"[": "]", b'"': '"'}
LEAST_ROW = 16  # bytes that a row counts for: compressed, thousands of empty ones are a byte


@dataclass(frozen=True)
class Lines:
    """Whole lines of a file, one behind the other; only the file's last one may lack its newline.

    first: the first line's number. count: how many there are. Iterating gives (line number, line) of every line that is
    not blank, and raises RowError where one is longer than LONGEST_LINE.
    """

    first: int
    data: bytes
    count: int

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        for number, line in enumerate(io.BytesIO(self.data), self.first):
            if len(line) > LONGEST_LINE:
                raise _too_long(number)
            if not line.isspace():
                yield number, line

    def one_object_each(self) -> bool:
        """Whether what ends and begins at each newline is an object.

        Inside of a JSON value no "{" can follow a "}", so that no value then reaches across a newline.
        """
        data = self.data
        between = data.count(b"}\n{") or data.count(b"}\r\n{")
        return between == self.count - 1 and data.startswith(b"{") and data.endswith((b"}\n", b"}\r\n"))


def _too_long(number: int) -> RowError:
    return RowError(number, "", f"longer than {LONGEST_LINE} bytes")


def blocks(path: str | PathLike[str], *, gzipped: bool = False) -> Iterator[Lines]:
    """All lines of a file.

    Raises:
        RowError: a line is longer than LONGEST_LINE, or the compressed bytes are damaged or a bomb; reading cannot go
            on behind it.
    """
    with open(path, "rb", buffering=0) as file:
        yield from _inflated(file) if gzipped else whole_lines(file)


def whole_lines(file: IO[bytes], *, most: int | None = None) -> Iterator[Lines]:
    """The lines of an open file, as `blocks` yields them.

    Args:
        most: bytes that it may hold, where a line counts for LEAST_ROW at least.
    """
    first, read, begun = 1, 0, b""
    while part := file.read(BLOCK):
        data = begun + part
        end = data.rfind(b"\n") + 1
        begun = data[end:]
        if end:
            ready = [Lines(first, data[:end], data.count(b"\n"))]
            first += ready[0].count
            read += max(end, LEAST_ROW * ready[0].count)
            if most is not None and read > most:
                raise _too_much(ready[0].first, most)
            data = b""
            yield ready.pop()  # nothing is kept here: a line may be megabytes, and its reader takes many times as much
        if len(begun) > LONGEST_LINE:
            raise _too_long(first)
    if most is not None and read + len(begun) > most:
        raise _too_much(first, most)
    if begun:
        yield Lines(first, begun, 1)


def _too_much(number: int, most: int) -> RowError:
    reason = f"the gzip data grows to more than {most} bytes: {HIGHEST_RATIO} times its size"
    return RowError(number, "", reason)


class _Inflating:
    """Reads what stands before damaged bytes before it tells of them: the decoder forgets what it has read of a piece.

    Args:
        damaged: what the decoder raises.
    """

    def __init__(self, source: io.BufferedIOBase, damaged: tuple[type[Exception], ...]) -> None:
        self._source, self._damaged = source, damaged
        self._damage: Exception | None = None

    def read(self, size: int) -> bytes:
        if self._damage:
            raise self._damage
        pieces, length = [], 0
        try:
            while length < size and (piece := self._source.read1(PIECE)):
                pieces.append(piece)
                length += len(piece)
        except self._damaged as error:
            if not pieces:
                raise
            self._damage = error
        return b"".join(pieces)


def _inflated(file: IO[bytes]) -> Iterator[Lines]:
    from isal import igzip  # only those who read gzip pay for it
    from isal.igzip_lib import IsalError

    damaged = (OSError, EOFError, cast("type[Exception]", IsalError))  # which its stub takes for an instance
    inflating = _Inflating(cast("io.BufferedIOBase", igzip.IGzipFile(fileobj=file)), damaged)
    following = 1
    try:
        for block in whole_lines(cast("IO[bytes]", inflating), most=most_decoded(fstat(file.fileno()).st_size)):
            if block.first == 1 and has_header(block.data.partition(b"\n")[0].removeprefix(BYTE_ORDER_MARK)):
                raise RowError(1, "", "the gzip data holds CSV; only JSONL may be gzipped")
            following += block.count
            yield block
    except damaged as error:
        raise RowError(following, "", f"the gzip data is damaged or cut off ({error})") from None


def most_decoded(size: int) -> int:
    """How many bytes of rows may come out of so many compressed ones."""
    return min(MOST_DECODED, max(SMALL, HIGHEST_RATIO * size))


def decode(number: int, line: bytes) -> dict[str, Any]:
    """The JSON object of one line.

    Raises:
        RowError: the line holds none.
    """
    try:
        row = msgspec.json.decode(line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line)
    except UnicodeDecodeError:
        raise RowError(number, "", "not valid UTF-8") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise RowError(number, "", _why_no_json(line, str(error))) from None
    if not isinstance(row, dict):
        raise RowError(number, "", f"a JSON object is needed, not {kind_of(row)}")
    return row


def _why_no_json(line: bytes, reason: str) -> str:
    text = line.strip()
    if text.startswith((b'"', b"}", b"]")):
        return f"begins with no {{: {ONE_LINE}"
    at_end = "truncated" in reason or reason.endswith(f"(byte {len(line.rstrip(NEWLINE))})")
    lacking = _lacking(text) if at_end else ""
    if not lacking:
        return f"not valid JSON ({reason})"
    if not line.endswith(b"\n"):
        return f"the last line is cut off: it lacks {lacking} at its end, and has no newline"
    if text.endswith((b"{", b"[", b",", b":")):
        return f"the JSON goes on in the next line: {ONE_LINE}"
    return f"the line ends too early: it lacks {lacking} at its end"


def _lacking(text: bytes) -> str:
    """What would close the JSON that the text begins, innermost first; empty where nothing is open."""
    if len(text) > LONGEST_EXPLAINED:
        return "what closes it"
    closing: list[str] = []
    for mark in MARK.findall(STRING.sub(lambda found: b"" if found[1] else b'"', text)):
        if mark in CLOSING:
            closing.append(CLOSING[mark])
        elif closing:
            closing.pop()
    return "".join(closing[::-1])
