"""The trainer's own output, made fit for the job's owner, a chunk at a time."""

import codecs
import os
import sys
from dataclasses import dataclass
from pathlib import Path

CHUNK = 16 * 1024  # bytes
TAIL = 64 * 1024  # bytes of a log that is too long that are kept of its end: there a failure is explained
LONGEST = 64 * 1024**2  # bytes on disk; a log whose beginning has been read is emptied when it is longer


@dataclass(frozen=True)
class Chunk:
    """Bytes [start, end) of the log as text; one that begins behind the last one's end leaves something out."""

    start: int
    end: int
    text: str


class LogReader:
    """Reads a log that is still being written.

    Args:
        masked: folders of this host by what is to stand in their place.
        most: bytes; of a longer log its beginning is read as it comes, and its end once it has ended.
    """

    def __init__(self, path: Path, *, masked: dict[str, Path], most: int) -> None:
        self._path = path
        self._masked = masked
        self._head = max(0, most - TAIL)
        self._emptied = 0  # bytes that were in the file before it was emptied: offsets count them
        self.offset = 0

    def read(self, *, final: bool = False) -> Chunk | None:
        """The next chunk, whole lines unless one is longer; None where there is none yet. `offset` stays.

        Args:
            final: nothing more will be written: the last line need not be whole, and the end of a long log is due.
        """
        on_disk = self._path.stat().st_size if self._path.exists() else 0
        size = self._emptied + on_disk
        if not final and self.offset >= self._head:
            if on_disk > LONGEST:
                os.truncate(self._path, 0)  # its writer appends, and goes on
                self._emptied = size
            return None
        start = self._tail(size) if final and self.offset >= self._head else self.offset
        if start >= size:
            return None
        raw = self._bytes(start, CHUNK)
        whole = raw.rfind(b"\n") + 1
        if not final and not whole and len(raw) < CHUNK:
            return None
        raw = raw[:whole] if whole else _whole_characters(raw)
        left_out = f"[{start - self.offset} bytes left out]\n" if start > self.offset else ""
        return Chunk(self.offset, start + len(raw), left_out + self._text(raw))

    def _tail(self, size: int) -> int:
        """Where the end of a long log begins: with a line, for half of a path would not be masked."""
        start = max(self.offset, self._emptied, size - TAIL)
        if start == self.offset:
            return start
        before = max(self._emptied, start - 1)
        line = self._bytes(before, TAIL).find(b"\n")
        return start if line < 0 else before + line + 1

    def _bytes(self, start: int, most: int) -> bytes:
        with self._path.open("rb") as file:
            file.seek(start - self._emptied)
            return file.read(most)

    def _text(self, raw: bytes) -> str:
        return mask(raw.decode(errors="replace"), self._masked)


def mask(text: str, masked: dict[str, Path]) -> str:
    """The text with folders of this host replaced by what stands for them, and without NUL."""
    text = text.replace("\0", "\ufffd")
    # The longest first: a run directory lies in the work directory.
    for name, folder in sorted(masked.items(), key=lambda item: -len(str(item[1]))):
        text = text.replace(str(folder), name)
    return text


def _whole_characters(raw: bytes) -> bytes:
    """Without the beginning of a character at its end, which the next piece brings whole."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    decoder.decode(raw)
    begun = decoder.getstate()[0]
    return raw[: len(raw) - len(begun)] or raw


def masks(*, run_dir: Path, work_dir: Path) -> dict[str, Path]:
    """The folders of this host that a trainer's output may name."""
    return {
        "<run>": run_dir,
        "<work>": work_dir,
        "<python>": Path(sys.prefix),
        "<base python>": Path(sys.base_prefix),  # where the frames of the standard library lie
        "<server>": Path(__file__).resolve().parent.parent,
    }
