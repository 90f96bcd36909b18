"""What tests let a forked child do; it says that it has begun by writing to its path."""

import signal
import time
from pathlib import Path


def hang(path: Path) -> None:
    (path / "begun").touch()
    time.sleep(600)


def hang_and_ignore(path: Path) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    hang(path)
