"""The trainer's own output, made fit for the job's owner, a chunk at a time."""

import sys
from dataclasses import dataclass
from pathlib import Path

CHUNK = 16 * 1024  # bytes
TAIL = 64 * 1024  # bytes of a log that is too long that are kept of its end: there a failure is explained


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
        self.offset = 0

    def read(self, *, final: bool = False) -> Chunk | None:
        """The next chunk, whole lines unless one is longer; None where there is none yet. `offset` stays.

        Args:
            final: nothing more will be written: the last line need not be whole, and the end of a long log is due.
        """
        size = self._path.stat().st_size if self._path.exists() else 0
        start = max(self.offset, size - TAIL) if final and self.offset >= self._head else self.offset
        if start >= size or (not final and self.offset >= self._head):
            return None
        with self._path.open("rb") as file:
            file.seek(start)
            raw = file.read(CHUNK)
        whole = raw.rfind(b"\n") + 1
        if not final and not whole and len(raw) < CHUNK:
            return None
        raw = raw[:whole] if whole else raw
        left_out = f"[{start - self.offset} bytes left out]\n" if start > self.offset else ""
        return Chunk(self.offset, start + len(raw), left_out + self._text(raw))

    def _text(self, raw: bytes) -> str:
        return mask(raw.decode(errors="replace"), self._masked)


def mask(text: str, masked: dict[str, Path]) -> str:
    """The text with folders of this host replaced by what stands for them, and without NUL."""
    text = text.replace("\0", "\ufffd")
    # The longest first: a run directory lies in the work directory.
    for name, folder in sorted(masked.items(), key=lambda item: -len(str(item[1]))):
        text = text.replace(str(folder), name)
    return text


def masks(*, run_dir: Path, work_dir: Path) -> dict[str, Path]:
    """The folders of this host that a trainer's output may name."""
    return {
        "<run>": run_dir,
        "<work>": work_dir,
        "<python>": Path(sys.prefix),
        "<server>": Path(__file__).resolve().parent.parent,
    }
