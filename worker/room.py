"""Whether a worker's disk has space for more work."""

import logging
import shutil
from contextlib import suppress
from pathlib import Path

from worker.cache import Cache

log = logging.getLogger(__name__)
NEXT_TO_NOTHING = 1024**2  # bytes


def is_full(folder: Path) -> bool:
    """Whether the folder's disk has so little left that a child may not even have been able to say why it ended."""
    return shutil.disk_usage(folder).free < NEXT_TO_NOTHING


class Room:
    """Nothing is begun on a disk that is full already: it would fail, and so would whatever is claimed after it.

    Args:
        folder: on that disk. cache: what it could do without goes first. least: bytes that have to be free.
    """

    def __init__(self, folder: Path, *, cache: Cache, least: int) -> None:
        self._folder = folder
        self._cache = cache
        self._least = least
        self._was_there = True

    def is_there(self) -> bool:
        if not self._fits():
            with suppress(OSError):  # removing takes a lock, and making one may take a byte
                self._cache.empty()
        is_there = self._fits()
        if is_there != self._was_there:
            log.warning(
                "the disk has %s", "room again" if is_there else f"less than {self._least} bytes: no work is taken"
            )
        self._was_there = is_there
        return is_there

    def _fits(self) -> bool:
        return shutil.disk_usage(self._folder).free >= self._least
