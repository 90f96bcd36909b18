"""What runs inside the full sandbox: grades every sample, in a worker that it can kill. Only the standard library and
`graders.seccomp` are there.

The task comes from standard input, an answer a sample goes to standard output: `{"value": …}` or `{"error": …}`. The
user's code runs only in forked workers, which may fork nothing themselves. One worker grades sample after sample; where
it takes too long over one, or dies, that sample is lost and another worker goes on behind it.
"""

import json
import os
import resource
import select
import signal
import sys
import time
import traceback
from contextlib import suppress
from typing import Any

from graders import seccomp

LONGEST_ANSWER = 16 * 1024  # bytes
LONGEST_ERROR = 2000  # characters


def main() -> None:
    task = json.load(sys.stdin)
    first = 0
    while first < len(task["samples"]):
        first = graded(task, first)


def graded(task: dict[str, Any], first: int) -> int:
    """Grade from that sample on, as far as one worker comes; the number of the next sample."""
    ours, theirs = os.pipe()
    worker = os.fork()
    if worker == 0:
        os.close(ours)
        work(task, first, theirs)
        os._exit(0)
    os.close(theirs)
    pending = bytearray()
    try:
        for place in range(first, len(task["samples"])):
            found = answer(ours, pending, seconds=task["seconds"])
            tell(found or {"error": ending(worker, seconds=task["seconds"])})
            if found is None:
                return place + 1
        return len(task["samples"])
    finally:
        os.close(ours)
        with suppress(OSError):  # it has been waited for
            os.kill(worker, signal.SIGKILL)
            os.waitpid(worker, 0)


def answer(pipe: int, pending: bytearray, *, seconds: float) -> dict[str, Any] | None:
    """The worker's next line; None where it takes too long, dies, or writes what no answer is."""
    deadline = time.monotonic() + seconds
    while b"\n" not in pending:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([pipe], [], [], left)[0]:
            return None
        piece = os.read(pipe, 4096)
        if not piece or len(pending) > LONGEST_ANSWER:
            return None
        pending += piece
    line, _, rest = bytes(pending).partition(b"\n")
    pending[:] = rest
    with suppress(ValueError, RecursionError):
        found = json.loads(line)
        return found if isinstance(found, dict) and found else None
    return None


def ending(worker: int, *, seconds: float) -> str:
    """Why a worker does not answer."""
    for _ in range(20):  # the end of one that has closed its pipe may be on the way
        found, status = os.waitpid(worker, os.WNOHANG)
        if found:
            how = os.waitstatus_to_exitcode(status)
            return f"the process ended {f'by signal {-how}' if how < 0 else f'with status {how}'}"
        time.sleep(0.005)
    return f"TimeoutError: not done within {seconds:g} s"


def tell(found: dict[str, Any]) -> None:
    """Only what an answer has: a worker may have written anything."""
    value = found.get("value")
    usable = isinstance(value, float)
    kept = {"value": value} if usable else {"error": str(found.get("error"))[:LONGEST_ERROR]}
    os.write(1, json.dumps(kept).encode() + b"\n")


def work(task: dict[str, Any], first: int, pipe: int) -> None:
    """The worker's life. Its own output goes nowhere."""
    nowhere = os.open("/dev/null", os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    sys.path += task["packages"]
    limit(task["memory"])
    scope: dict[str, Any] = {"__name__": "grader"}
    failed = None
    try:
        exec(compile(task["source"], "grader.py", "exec"), scope)
        if not callable(scope.get("grade")):
            failed = "the source defines no function grade(sample, item)"
    except BaseException as error:
        failed = told(error)
    for sample in task["samples"][first:]:
        try:
            found = {"error": failed} if failed else {"value": number(scope["grade"](sample["sample"], sample["item"]))}
        except BaseException as error:
            found = {"error": told(error)}
        os.write(pipe, json.dumps(found).encode() + b"\n")


def number(value: Any) -> float:
    """Whatever counts as a number, numpy's too."""
    if isinstance(value, str | bytes) or value is None:
        raise TypeError(f"grade answered {type(value).__name__}, not a number")
    return float(value)


def told(error: BaseException) -> str:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "grader.py"]
    line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    said = error.msg if isinstance(error, SyntaxError) else error
    return f"{f'line {line}: ' if line else ''}{type(error).__name__}: {said}"[:LONGEST_ERROR]


def limit(memory: int) -> None:
    """From here on: no more memory, nothing written, no process, no signal."""
    for name, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 32),
    ):
        resource.setrlimit(name, (most, most))
    seccomp.install(seccomp.ALONE)
