"""What tests let a forked child do; it says that it has begun by writing to its path."""

import os
import signal
import time
from pathlib import Path


def hang(path: Path) -> None:
    (path / "begun").touch()
    time.sleep(600)


def hang_and_ignore(path: Path) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    hang(path)


def grow(path: Path) -> None:
    """Take more and more memory."""
    (path / "begun").touch()
    taken: list[bytes] = []
    while len(taken) < 2000:
        taken.append(b"x" * 4 * 1024**2)
        time.sleep(0.02)


def write(path: Path) -> None:
    """Take more and more of the disk."""
    (path / "begun").touch()
    with (path / "log.txt").open("ab", buffering=0) as file:
        for _ in range(2000):
            file.write(b"x" * 1024**2)
            time.sleep(0.02)


def die(path: Path) -> None:
    """Without a word."""
    (path / "begun").touch()
    os._exit(1)
