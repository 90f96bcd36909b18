"""Validating a file in a limited child process: what it parses came from anybody."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

import core

log = logging.getLogger(__name__)

WALL_SECONDS = 3600.0
MOST_ANSWERED = 16 * 1024 * 1024  # bytes; a sketch is the most of it
INHERITED = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "VIRTUAL_ENV")


class Interrupted(Exception):
    """The child was ended by something that says nothing about the file."""


@dataclass(frozen=True)
class Checked:
    """figures: the report, of `core.rows.validate`; sketch: None where the file can't be used."""

    figures: dict[str, Any]
    sketch: bytes | None


def check(path: Path, *, name: str, stop: threading.Event) -> Checked:
    """Validate the file at `path`.

    Args:
        name: what its author called it.
        stop: once set, the child is killed; it is set when this returns.

    Raises:
        Interrupted: the child was killed from outside, or because `stop` was set.
    """
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "core.rows.check", str(path), name],
        stdin=subprocess.PIPE,  # the child ends when this does
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # a traceback may quote rows
        cwd=path.parent,
        env=environment(),
        start_new_session=True,
    )
    assert process.stdout is not None
    started = time.monotonic()
    threading.Thread(target=lambda: (stop.wait(WALL_SECONDS), process.kill()), name="check-limit", daemon=True).start()
    try:
        answered = process.stdout.read(MOST_ANSWERED + 1)
        if len(answered) > MOST_ANSWERED:
            process.kill()
        status = process.wait()
        interrupted = stop.is_set()
    finally:
        stop.set()
        process.kill()
        process.stdout.close()
        assert process.stdin is not None
        process.stdin.close()
        process.wait()
    if status == 0:
        report, _, sketch = answered.partition(b"\n")
        return Checked(msgspec.json.decode(report, type=dict[str, Any]), sketch or None)
    timed_out = status == -signal.SIGXCPU or time.monotonic() - started >= WALL_SECONDS
    if interrupted or (status == -signal.SIGKILL and not timed_out):
        raise Interrupted(f"the validating process was ended by signal {-status}")
    return Checked(_unreadable("takes more time than is allowed" if timed_out else _ending(status)), None)


def _ending(status: int) -> str:
    log.error("the validating process ended with status %s", status)
    return "takes more memory than is allowed, or breaks the parser of its format"


def _unreadable(why: str) -> dict[str, Any]:
    fault = {"line": 1, "field": "", "message": f"reading the file {why}"}
    return {"rows": None, "faults": [fault], "fault_count": 1}


def environment() -> dict[str, str]:
    """No secrets, the same code, one thread."""
    kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
    paths = [str(Path(core.__path__[0]).parent), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        # numpy's arrays of one block are reused for the next one, and not given back to the kernel and zeroed again.
        "MALLOC_MMAP_THRESHOLD_": str(4 * 1024**2),
        "MALLOC_TRIM_THRESHOLD_": str(8 * 1024**2),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
