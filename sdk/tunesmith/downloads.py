"""Bytes to disk: into a file beside the goal that a later call goes on with, verified, then in place in one step."""

import hashlib
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import httpx

from tunesmith.errors import DigestMismatch, UnsafeName

CHUNK = 1024 * 1024  # bytes


def target(folder: Path, name: str) -> Path:
    """Where the file of that name belongs; `name` may have folders, divided by '/'.

    Raises:
        UnsafeName: it would lie outside of the folder, or its name means something else on another system.
    """
    parts = name.split("/")
    if "\0" in name or "\\" in name or PurePosixPath(name).is_absolute() or {"", ".", ".."} & set(parts):
        raise UnsafeName(f"not a name to download to: {name!r}")
    path = folder.joinpath(*parts)
    if path.is_absolute() != folder.is_absolute() or not path.parent.resolve().is_relative_to(folder.resolve()):
        raise UnsafeName(f"{name!r} leads out of {folder}")
    return path


def holds(path: Path, *, sha256: str, size: int) -> bool:
    """The file is there, with just these bytes."""
    return path.is_file() and path.stat().st_size == size and digest(path) == sha256.lower()


def digest(path: Path) -> str:
    """The file's SHA-256, in hexadecimal."""
    sha256 = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            sha256.update(chunk)
    return sha256.hexdigest()


class Part:
    """The beginning of a file, at `<path>.<digest>.part` until it is whole.

    Args:
        sha256: the digest to expect; None: not known, and what an earlier call left is not gone on with.
        size: bytes to expect.
    """

    def __init__(self, path: Path, *, sha256: str | None, size: int) -> None:
        self._goal, self._sha256, self._size = path, sha256 and sha256.lower(), size
        self.path = path.with_name(f"{path.name}.{(self._sha256 or str(os.getpid()))[:12]}.part")
        if self._sha256 is None or self._written() > size:
            self.discard()

    def whole(self) -> bool:
        """Nothing is left to fetch."""
        return self.path.exists() and self._written() == self._size

    def headers(self) -> dict[str, str]:
        """Ask for what is missing."""
        return {"range": f"bytes={self._written()}-"} if self._written() else {}

    @contextmanager
    def writing(self, response: httpx.Response) -> Generator[Callable[[bytes], None]]:
        """A function that takes the body's chunks; they go behind what is there only where the server says so.

        Raises:
            DigestMismatch: more bytes come than were promised.
        """
        asked = f"bytes {self._written()}-"
        goes_on = response.status_code == 206 and response.headers.get("content-range", "").startswith(asked)
        if response.status_code == 206 and not goes_on:
            raise DigestMismatch(f"{self._goal.name}: the server sent other bytes than those it was asked for")
        written = self._written() if goes_on else 0
        with self.path.open("ab" if goes_on else "wb") as file:

            def write(chunk: bytes) -> None:
                nonlocal written
                written += len(chunk)
                if written > self._size:
                    self.discard()
                    raise DigestMismatch(f"{self._goal.name}: more than the promised {self._size} bytes")
                file.write(chunk)

            yield write
            file.flush()
            os.fsync(file.fileno())

    def finish(self) -> None:
        """Verify what is on the disk and put it in place.

        Raises:
            DigestMismatch: other bytes came; they are thrown away, and whatever was at the goal is still there.
        """
        if self._written() != self._size:
            written = self._written()
            self.discard()
            raise DigestMismatch(f"{self._goal.name}: {written} bytes came, promised were {self._size}")
        if self._sha256 is not None and (found := digest(self.path)) != self._sha256:
            self.discard()
            raise DigestMismatch(f"{self._goal.name}: SHA-256 is {found}, promised was {self._sha256}")
        self.path.replace(self._goal)

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)

    def _written(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0
