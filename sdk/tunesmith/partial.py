"""What has been sent of a large file: kept on this machine, so that a later call goes on behind it."""

import hashlib
import json
import os
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from tunesmith.types import Upload

CHUNK = 1024 * 1024  # bytes
PART_SIZE = 32 * 1024 * 1024  # bytes; the server takes at most 64 MB
MARGIN = 60  # seconds; an upload that expires within them is not gone on with


@dataclass(frozen=True)
class Content:
    """A file's bytes; the digests are hexadecimal."""

    path: Path
    size: int
    sha256: str
    md5: str

    def part(self, number: int, size: int) -> bytes:
        """The bytes of the part with that number, from 0, where all parts but the last have that size."""
        with self.path.open("rb") as file:
            file.seek(number * size)
            return file.read(size)


def read(path: Path) -> Content:
    """Digest the file, in one pass.

    Raises:
        OSError: it cannot be read.
    """
    sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            sha256.update(chunk)
            md5.update(chunk)
            size += len(chunk)
    return Content(path, size, sha256.hexdigest(), md5.hexdigest())


@dataclass
class Partial:
    """An upload that is under way: which parts of it the server has, by their numbers."""

    record: Path
    upload_id: str
    expires_at: int
    part_size: int
    parts: dict[int, str] = field(default_factory=dict[int, str])
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def missing(self, size: int) -> list[int]:
        """The numbers of the parts, of a file of that size, that have not arrived."""
        return [number for number in range(-(-size // self.part_size)) if number not in self.parts]

    def add(self, number: int, part_id: str) -> None:
        """Note that the part has arrived."""
        with self._lock:
            self.parts[number] = part_id
            kept = {
                "upload_id": self.upload_id,
                "expires_at": self.expires_at,
                "part_size": self.part_size,
                "parts": self.parts,
            }
            self.record.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            temporary = self.record.with_suffix(f".{uuid.uuid4().hex}")
            temporary.write_text(json.dumps(kept))
            temporary.replace(self.record)

    def forget(self) -> None:
        self.record.unlink(missing_ok=True)


def begin(record: Path, upload: Upload, part_size: int) -> Partial:
    """A new one, of which nothing has been sent."""
    return Partial(record, upload.id, upload.expires_at, part_size)


def resume(record: Path) -> Partial | None:
    """The one that an earlier call left, unless it has expired or cannot be read."""
    try:
        kept = cast("dict[str, Any]", json.loads(record.read_text()))
        parts = {int(number): str(part) for number, part in kept["parts"].items()}
        partial = Partial(record, str(kept["upload_id"]), int(kept["expires_at"]), int(kept["part_size"]), parts)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return partial if partial.expires_at > time.time() + MARGIN and partial.part_size > 0 else None


def record_path(base_url: str, content: Content, *, purpose: str, expires_after: int | None) -> Path:
    """Where the record of sending that content, under its name, to that server is: in the user's cache folder."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    sent = [base_url, purpose, expires_after, content.path.name, content.sha256]
    name = hashlib.sha256(json.dumps(sent).encode()).hexdigest()
    return cache / "tunesmith" / "uploads" / f"{name[:32]}.json"
