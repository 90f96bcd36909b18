"""Checking and running one grader in a child that is killed where it takes too long: what the API does."""

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress

from core.specs.asking import Ask
from graders.equivalence import environment
from graders.outcome import Errors, Outcome
from graders.task import Asked, Done, Replies, Task

WALL_SECONDS = 180.0
LONGEST_LINE = 16 * 1024 * 1024  # bytes of one line of the child's


def run(task: Task, ask: Ask, *, seconds: float = WALL_SECONDS) -> Done:
    """What the child makes of the task. One that does not come back is an outcome too: its flag is other_error."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "graders.child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # a traceback may quote what is graded
        env=environment(),
        start_new_session=True,
    )
    timer = threading.Timer(seconds, _kill, [process])
    timer.start()
    try:
        found = _talk(process, task, ask)
    except BrokenPipeError:
        found = None
    finally:
        timer.cancel()
        _kill(process)
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):
            process.stdin.close()
        process.stdout.close()
        process.wait()
    if found is not None:
        return found
    words = "the grader takes more time or memory than is allowed"
    return Done(outcome=Outcome(errors=Errors(other_error=True, details=[words])))


def _talk(process: "subprocess.Popen[bytes]", task: Task, ask: Ask) -> Done | None:
    """The child's last line; None where none comes."""
    assert process.stdin is not None
    assert process.stdout is not None
    message = task.model_dump_json()
    while True:
        process.stdin.write(message.encode() + b"\n")
        process.stdin.flush()
        line = process.stdout.readline(LONGEST_LINE)
        if not line.endswith(b"\n"):
            return None
        if "questions" not in json.loads(line):
            return Done.model_validate_json(line)
        message = Replies(replies=ask(Asked.model_validate_json(line).questions)).model_dump_json()


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """With all that it has started: they are of its session."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
