"""Run one run directory, and turn whatever happens into its outcome."""

import errno
import importlib
import traceback
from pathlib import Path

from core.rows.fault import RowFault
from core.specs.run import RunError, RunResult, RunSpec
from trainers import environment
from trainers.errors import SpecError
from trainers.rundir import RunDir
from trainers.stopping import Stopped, listening


def run(path: Path) -> int:
    """Do what `path/spec.json` says. Answers the exit status: 0 for succeeded and for stopped, 1 for failed."""
    environment.prepare()
    run_dir = RunDir(path)
    try:
        with listening() as stop:
            spec = RunSpec.model_validate_json((path / "spec.json").read_bytes())
            # By name, and only now: the libraries read their environment when they are imported.
            trainer = importlib.import_module(f"trainers.{spec.method.type}")
            result: RunResult = trainer.train(spec, run_dir, stop)
        run_dir.succeed(result)
        return 0
    except Stopped:
        run_dir.succeed(RunResult(outcome="stopped", step=0, trained_tokens=0))
        return 0
    except Exception as error:
        traceback.print_exc()
        run_dir.fail(explain(error))
        return 1


def explain(error: Exception) -> RunError:
    """What the job's owner is told. Unexpected errors are named by kind only: their text may hold paths of the host."""
    if isinstance(error, SpecError):
        return RunError(code=error.code, message=error.message, param=error.param)
    if isinstance(error, RowFault):
        return RunError(code="invalid_file", message=f"training_file: {error}", param="training_file")
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        return RunError(code="out_of_memory", message="The trainer ran out of memory", retryable=True)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return RunError(code="disk_full", message="The worker's disk is full", retryable=True)
    return RunError(code="trainer_error", message=f"The trainer failed with {type(error).__name__}", retryable=True)
