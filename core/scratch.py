"""Temporary folders that do not outlive a kill -9 for long."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# A folder is made first and locked then: one that is younger may be about to be.
YOUNGEST = 60.0  # seconds


@contextmanager
def scratch(name: str, *, within: Path | None = None) -> Iterator[Path]:
    """A folder for the length of the block. What processes that were killed have left under that name goes first.

    Args:
        within: the folder to make it in; null: the system's temporary one.
    """
    prefix = f"tunesmith-{name}-"
    remove_abandoned(prefix, within or Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=prefix, dir=within) as made, _locked(Path(made)):
        yield Path(made)


def remove_abandoned(prefix: str, parent: Path) -> None:
    """Remove the folders of that prefix which no living process has locked."""
    for folder in parent.glob(f"{prefix}*"):
        with suppress(OSError):  # it is another user's, is in use, or has gone meanwhile
            if time.time() - folder.stat().st_mtime > YOUNGEST:
                with _locked(folder):
                    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """The kernel releases the lock however the process ends. Raises BlockingIOError where somebody else has it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
