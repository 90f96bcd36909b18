"""Whether two answers are mathematically the same, asked of a child that can be killed."""

import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import core
from core.specs.graders import MathGrader
from graders.outcome import Failure, Outcome, in_batch, rendered
from graders.sample import Sample

SECONDS = 10.0  # for one pair; math-verify gives up after 3 by itself where it can be interrupted
START_SECONDS = 120.0  # for the child's imports, on a busy machine
LONGEST = 20_000  # characters of an answer, from its end, where the result stands
INHERITED = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "VIRTUAL_ENV")


def environment() -> dict[str, str]:
    """Of a child: no secrets, the same code, one core."""
    kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
    paths = [str(Path(core.__path__[0]).parent), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    return {**kept, "PYTHONPATH": os.pathsep.join(path for path in paths if path), "OMP_NUM_THREADS": "1"}


class Equivalence:
    """A child that compares; it is started by the first comparison, and again after one that it did not survive.

    Not for several threads at once.
    """

    def __init__(self, *, seconds: float = SECONDS) -> None:
        self.seconds = seconds
        self.child: subprocess.Popen[bytes] | None = None
        self.received = bytearray()

    def __enter__(self) -> "Equivalence":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def equal(self, answer: str, reference: str) -> bool:
        """Whether the answer is the reference.

        Raises:
            Failure: the reference is no mathematics, or comparing takes too much time or memory.
        """
        if self.child is None:
            self._start()
        assert self.child is not None
        assert self.child.stdin is not None
        try:
            self.child.stdin.write(json.dumps([answer[-LONGEST:], reference[-LONGEST:]]).encode() + b"\n")
            self.child.stdin.flush()
            found = self._line(self.seconds)
        except BrokenPipeError:
            found = None
        if found is None:
            self._stop()
            raise Failure("other_error", "input: comparing it with the reference takes too much time or memory")
        if "problem" in found:
            raise Failure("other_error", f"reference: {found['problem']}")
        return bool(found["equal"])

    def _start(self) -> None:
        self.child = subprocess.Popen(
            [sys.executable, "-P", "-m", "graders.equivalence_child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # a traceback may quote rows
            env=environment(),
        )
        self.received.clear()
        assert self.child.stdin is not None
        self.child.stdin.write(b'["1", "1"]\n')
        self.child.stdin.flush()
        if self._line(START_SECONDS) is None:
            self._stop()
            raise Failure("other_error", "the process that compares answers does not start")

    def _line(self, seconds: float) -> dict[str, Any] | None:
        """The child's next answer; None where none comes in time, or ever."""
        assert self.child is not None
        assert self.child.stdout is not None
        deadline = time.monotonic() + seconds
        with selectors.DefaultSelector() as waiting:
            waiting.register(self.child.stdout, selectors.EVENT_READ)
            while b"\n" not in self.received:
                if not waiting.select(max(0.0, deadline - time.monotonic())):
                    return None
                piece = os.read(self.child.stdout.fileno(), 65536)
                if not piece:
                    return None
                self.received += piece
        line, _, rest = bytes(self.received).partition(b"\n")
        self.received[:] = rest
        return json.loads(line)

    def _stop(self) -> None:
        if self.child is None:
            return
        self.child.kill()
        assert self.child.stdin is not None
        assert self.child.stdout is not None
        for pipe in (self.child.stdin, self.child.stdout):
            with suppress(BrokenPipeError):  # what was still to be flushed has nobody to go to
                pipe.close()
        self.child.wait()
        self.child = None


def math(grader: MathGrader, samples: Sequence[Sample], equivalence: Equivalence) -> list[Outcome]:
    def pair(sample: Sample) -> tuple[str, str]:
        return rendered("input", grader.input, sample), rendered("reference", grader.reference, sample)

    def grade(pairs: list[tuple[str, str]]) -> list[Outcome]:
        return [compared(equivalence, *pair) for pair in pairs]

    return in_batch(samples, pair, grade)


def compared(equivalence: Equivalence, answer: str, reference: str) -> Outcome:
    try:
        return Outcome(float(equivalence.equal(answer, reference)))
    except Failure as failure:
        return failure.outcome()
