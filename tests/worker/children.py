"""What tests let a forked child do; it says that it has begun by writing to its path."""

import json
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


def ask(path: Path) -> None:
    """Put a question to the supervisor, and tell what came back and what there is to see."""
    from core.specs.asking import ChatQuestion
    from trainers.asking import Supervisor

    question = ChatQuestion(model="judge", messages=[{"role": "user", "content": "x"}], answer_schema={})
    replies = Supervisor((path / "asking").read_text())([question])
    seen = {"replies": [reply.model_dump() for reply in replies], "environment": dict(os.environ)}
    seen["of_process"] = Path("/proc/self/environ").read_text()
    (path / "telling.json").write_text(json.dumps(seen))
    (path / "telling.json").rename(path / "told.json")
