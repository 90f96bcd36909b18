"""Run one run directory, and turn whatever happens into its outcome."""

import errno
import importlib
import os
import traceback
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from core.specs.run import RunError, RunResult, RunSpec
from trainers import checkpoints, environment
from trainers.errors import Diverged, GraderAway, OutOfTime, SpecError
from trainers.rundir import RunDir
from trainers.stopping import Stopped, StopRequest, listening


def run(path: Path) -> int:
    """Do what `path/spec.json` says. Answers the exit status: 0 for succeeded and for stopped, 1 for failed."""
    run_dir = RunDir(path)
    with listening() as stop:
        try:
            result = _train(run_dir, stop)
            stop.ignore()
        except Stopped:
            result = _stopped(run_dir)
        except Exception as error:
            stop.ignore()
            with suppress(OSError):  # the disk may be full
                traceback.print_exc()
            run_dir.fail(explain(error))
            return 1
        run_dir.succeed(result)
    return 0


def _train(run_dir: RunDir, stop: StopRequest) -> RunResult:
    environment.prepare()
    run_dir.begin()
    spec = RunSpec.model_validate_json((run_dir.path / "spec.json").read_bytes())
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, spec.devices))  # a no-op in a supervisor's child
    # Each method has its file here, imported only now: torch and its friends read their environment as they are.
    return importlib.import_module(f"trainers.{spec.method.type}").train(spec, run_dir, stop)


def _stopped(run_dir: RunDir) -> RunResult:
    """What was reached is what the last checkpoint holds, of this attempt or of the one it went on from."""
    spec = run_dir.path / "spec.json"
    resumed = RunSpec.model_validate_json(spec.read_bytes()).resume_from if spec.exists() else None
    folder = checkpoints.latest(run_dir) or (Path(resumed) if resumed else None)
    reached = checkpoints.read_counters(folder) if folder else checkpoints.Counters()
    return RunResult(outcome="stopped", step=reached.step, trained_tokens=reached.trained_tokens)


def explain(error: Exception) -> RunError:
    """What the job's owner is told. Unexpected errors are named by kind only: their text may hold paths of the host."""
    if isinstance(error, SpecError):
        return RunError(code=error.code, message=error.message, param=error.param)
    if isinstance(error, GraderAway):
        return RunError(code="grader_failed", message=error.message, param=error.param, retryable=True)
    if isinstance(error, Diverged):
        return RunError(code="diverged", message=str(error), param=error.param)
    if isinstance(error, OutOfTime):
        return RunError(code="max_duration_exceeded", message=str(error), param="max_duration_seconds")
    if any(map(_is_out_of_memory, _with_causes(error))):
        from trainers.usage import peak_memory  # torch reads its environment when it is imported: not before `_train`

        peak = f"{peak_memory() / 1024**3:.2f} GiB"
        message = f"The trainer ran out of memory; it took {peak} at its peak"
        return RunError(code="out_of_memory", message=message, retryable=True)
    if any(map(_is_disk_full, _with_causes(error))):
        return RunError(code="disk_full", message="The worker's disk is full", retryable=True)
    return RunError(code="trainer_error", message=f"The trainer failed with {type(error).__name__}", retryable=True)


def _with_causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_out_of_memory(error: BaseException) -> bool:
    text = str(error).lower()  # torch's errors on a CPU and on a GPU have no class in common
    # The last is oneDNN's, which says no more where it can't have the memory for a product's code or scratch space.
    told = ("out of memory", "can't allocate memory", "could not create a primitive")
    return isinstance(error, MemoryError) or any(words in text for words in told)


def _is_disk_full(error: BaseException) -> bool:
    # safetensors and torch wrap the operating system's error in one of their own; torch does not say which it was.
    told = ("No space left on device", "PytorchStreamWriter failed writing file")
    return (isinstance(error, OSError) and error.errno == errno.ENOSPC) or any(text in str(error) for text in told)
