"""Running a task in a child of its own, and what is said where it does not come back."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel

import core
from core.errors import InvalidRequest, Unavailable
from core.estimate.task import Answer, Measured, MeasureTask, Previewed, PreviewTask, Refused

AT_ONCE = 2  # children of one API process
PATIENCE = 30.0  # seconds that a request waits for its turn
WALL_SECONDS = 180.0
MOST_ANSWERED = 64 * 1024 * 1024  # bytes
INHERITED = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "VIRTUAL_ENV")

_turns = threading.BoundedSemaphore(AT_ONCE)


class Busy(Unavailable):
    """As many estimates and previews run as this process may run at once."""

    code = "estimates_busy"
    retry_after = 5


class Unmeasurable(InvalidRequest):
    """The file, as this model's template and tokenizer read it, can't be read within the limits."""

    code = "not_measurable"


def measure(task: MeasureTask, folder: Path) -> Measured:
    """Raises Unmeasurable, or Busy where too many run already."""
    answer = _run(task, folder).measured
    assert answer is not None
    return answer


def preview(task: PreviewTask, folder: Path) -> Previewed:
    """Raises Unmeasurable, or Busy where too many run already."""
    answer = _run(task, folder).previewed
    assert answer is not None
    return answer


@contextmanager
def turn() -> Iterator[None]:
    """Hold one of the few places, from before files are fetched: those who wait must not fill the disk."""
    if not _turns.acquire(timeout=PATIENCE):
        raise Busy(f"{AT_ONCE} estimates or previews are being made already; try again in a moment")
    try:
        yield
    finally:
        _turns.release()


def _run(task: BaseModel, folder: Path) -> Answer:
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "core.estimate.child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # a traceback may quote rows
        cwd=folder,
        env=_environment(),
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    timer = threading.Timer(WALL_SECONDS, process.kill)
    timer.start()
    try:
        with process.stdin as pipe:
            pipe.write(task.model_dump_json().encode())
        answered = process.stdout.read(MOST_ANSWERED + 1)
    except BrokenPipeError:
        answered = b""
    finally:
        timer.cancel()
        process.kill()
        process.stdout.close()
        status = process.wait()
    if not answered or len(answered) > MOST_ANSWERED:
        raise Unmeasurable(f"training_file: {_ending(status)}", param="training_file")
    answer = Answer.model_validate_json(answered)
    if isinstance(answer.refused, Refused):
        raise Unmeasurable(f"training_file: {answer.refused.message}", param="training_file")
    return answer


def _environment() -> dict[str, str]:
    """No secrets, the same code, one core."""
    kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
    paths = [str(Path(core.__path__[0]).parent), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "TOKENIZERS_PARALLELISM": "false",
        "RAYON_NUM_THREADS": "1",
    }


def _ending(status: int) -> str:
    if status in (-signal.SIGXCPU, -signal.SIGKILL):
        return "reading it with the model's chat template takes more time than is allowed"
    return "reading it with the model's chat template takes more memory than is allowed, or fails"
