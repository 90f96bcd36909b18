"""Files by content and prepared base models, kept on the worker's disk up to a limit.

Users of the cache get hard links of their own, so that eviction never takes a file from under a trainer.
"""

import errno
import fcntl
import hashlib
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from core.storage import CHUNK, Entry

log = logging.getLogger(__name__)


class Cache:
    """Shared by all worker processes of a machine that have the same folder.

    Args:
        max_bytes: after each addition the least recently used entries go until the rest fits. The newest one stays
            even when it alone is larger.
    """

    def __init__(self, folder: Path, *, max_bytes: int) -> None:
        self._files = folder / "files"
        self._models = folder / "models"
        self._locks = folder / "locks"
        self._max_bytes = max_bytes
        for path in (self._files, self._models, self._locks):
            path.mkdir(parents=True, exist_ok=True)

    def link_file(self, entry: Entry, target: Path, *, fetch: Callable[[Path], None]) -> None:
        """Put the file of that SHA-256 at `target`; `fetch(path)` downloads (and verifies) what is not here yet."""
        cached = self._files / entry.sha256
        target.parent.mkdir(parents=True, exist_ok=True)
        with self._lock(entry.sha256):
            if cached.exists() and _sha256(cached) != entry.sha256:
                log.warning("cached file %s does not match its digest; fetched again", entry.sha256)
                cached.unlink()
            if not cached.exists():
                self._making_room(lambda: fetch(cached))
            os.utime(cached)
            os.link(cached, target)
        self._evict(most=self._max_bytes, keep=cached)

    def link_model(self, key: str, target: Path, *, prepare: Callable[[Path], None]) -> None:
        """Put the prepared base model of that key at `target`; `prepare(folder)` makes what is not here yet.

        One process prepares a model at a time; the folder appears whole, by rename.
        """
        cached = self._models / key
        with self._lock(key):
            if not cached.exists():
                partial = self._models / f"{key}.partial"
                self._making_room(lambda: _anew(partial, prepare))
                partial.rename(cached)
            os.utime(cached)
            shutil.copytree(cached, target, copy_function=os.link)
        self._evict(most=self._max_bytes, keep=cached)

    def _making_room(self, make: Callable[[], None]) -> None:
        """Make an entry; where the disk is full, once more when all that nobody is making or linking has gone."""
        try:
            make()
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            log.warning("the disk is full: the cache is emptied")
            self.empty()
            make()

    def empty(self) -> None:
        """Remove whatever nobody is making or linking just now."""
        self._evict(most=0)

    @contextmanager
    def _lock(self, key: str) -> Iterator[None]:
        with (self._locks / key).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _remove_leftovers(self) -> None:
        """What a killed process was making. Whoever makes an entry holds its lock: where that is free, nobody does."""
        for path in (path for folder in (self._files, self._models) for path in folder.glob("*.part*")):
            self._remove_unless_locked(path, key=path.name.partition(".")[0])

    def _remove_unless_locked(self, path: Path, *, key: str) -> bool:
        """Waits for nobody: whoever asks may hold the lock of another entry."""
        with (self._locks / key).open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            _remove(path)
        return True

    def _evict(self, *, most: int, keep: Path | None = None) -> None:
        """Remove the least recently used entries until the others have `most` bytes; what is locked stays."""
        with self._lock("evict"):
            self._remove_leftovers()
            entries = [path for folder in (self._files, self._models) for path in folder.iterdir()]
            used = sorted((path.stat().st_mtime, path) for path in entries if ".part" not in path.name)
            sizes = {path: _size(path) for _, path in used}
            total = sum(sizes.values())
            for _, path in used:
                if total <= most:
                    return
                if path != keep and self._remove_unless_locked(path, key=path.name):
                    total -= sizes[path]


def _anew(folder: Path, prepare: Callable[[Path], None]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    prepare(folder)


def _remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _size(path: Path) -> int:
    return sum(p.stat().st_size for p in path.rglob("*") if p.is_file()) if path.is_dir() else path.stat().st_size


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
