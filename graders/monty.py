"""Python graders in Monty: an interpreter of a part of Python, in a worker process of its own that can be killed.

It has no files, no network, no environment and no processes to begin with; time, memory and depth are limited, and each
answer is graded in a session of its own, so that none can leave anything for the next.
"""

from collections.abc import Sequence
from types import TracebackType
from typing import Any

from pydantic_monty import (
    Monty,
    MontyCrashedError,
    MontyError,
    MontyRuntimeError,
    MontySession,
    MontySyntaxError,
    ResourceLimits,
)

from core.specs.graders import PythonGrader
from graders.outcome import Failure, Outcome, each
from graders.sample import Sample
from graders.sandbox import checked, runtime_error

MEMORY = 256 * 1024**2  # bytes that the grader's values take
DEPTH = 500  # calls inside one another
CHECK_SECONDS = 5.0  # of a source's top level, when it is checked: somebody waits for the answer
GRACE = 2.0  # seconds after which a worker that does not keep its own limit is killed
CALL = "\ngrade(sample, item)"


class MontyRunner:
    """A worker, kept warm between batches. Not for several threads at once."""

    def __init__(self, *, memory: int = MEMORY) -> None:
        self.memory = memory
        self.pool: Monty | None = None

    def __enter__(self) -> "MontyRunner":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.pool is not None:
            self.pool.__exit__(kind, error, trace)
            self.pool = None

    def grade(self, grader: PythonGrader, samples: Sequence[Sample]) -> list[Outcome]:
        source = grader.source + CALL

        def one(sample: Sample) -> Outcome:
            with self._session(grader.timeout_seconds) as session:
                inputs = {"sample": sample.names, "item": sample.item}
                answer = _run(session, source, inputs, seconds=grader.timeout_seconds)
            if not isinstance(answer, int | float):
                raise runtime_error(f"grade answered {type(answer).__name__}, not a number")
            try:
                return Outcome(checked(float(answer)))
            except OverflowError:
                raise runtime_error("grade answered a number that is too large") from None

        return each(samples, one)

    def check(self, grader: PythonGrader) -> str | None:
        """What is wrong with the source, with its line; None where it compiles, runs and defines `grade`."""
        seconds = min(grader.timeout_seconds, CHECK_SECONDS)
        try:
            with self._session(seconds) as session:
                _run(session, grader.source, {}, seconds=seconds)
                _run(session, "grade\nNone", {}, seconds=seconds)
        except Failure as failure:
            if "'grade' is not defined" in failure.message:
                return "no function 'grade' in it; define: def grade(sample, item) -> float"
            return failure.message.removeprefix("source: ")
        return None

    def _session(self, seconds: float) -> MontySession:
        if self.pool is None:
            self.pool = Monty(min_processes=1, max_processes=1, feed_duration_limit_grace=GRACE)
            self.pool.__enter__()
        limits = ResourceLimits(
            max_feed_duration_secs=seconds,  # sleeping does not count
            max_total_sleep_secs=0,
            max_memory=self.memory,
            max_recursion_depth=DEPTH,
            max_suspensions=100,
        )
        return self.pool.checkout(script_name="grader.py", limits=limits)


def _run(session: MontySession, code: str, inputs: dict[str, Any], *, seconds: float) -> Any:
    """Raises Failure."""
    try:
        return session.feed_run(code, inputs=inputs, print_callback=_nowhere)
    except MontyCrashedError as error:
        how = "timeout" if error.timed_out else "crashed"
        words = f"source: the sandbox was ended: {error}"
        raise Failure("python_grader_server_error", words, python_grader_server_error_type=how) from None
    except (MontySyntaxError, MontyRuntimeError) as error:
        if str(error).startswith("TimeoutError: feed time limit"):  # Monty's own, not one that the grader raised
            raise runtime_error(f"TimeoutError: not done within {seconds:g} s") from None
        frames = error.traceback()
        place = f"line {frames[-1].line}: " if frames else ""
        kind = "SyntaxError: " if isinstance(error, MontySyntaxError) else ""
        raise runtime_error(f"{place}{kind}{error}") from None
    except MontyError as error:  # what can't be handed over
        raise runtime_error(str(error)) from None


def _nowhere(stream: str, text: str) -> None:
    """What graders print is not kept."""
