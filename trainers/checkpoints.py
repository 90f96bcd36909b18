"""Checkpoints: the Trainer's state for an exact resume, our counters, and weights that peft or transformers load."""

import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from trainers.rundir import RunDir

COUNTERS = "progress.json"


@dataclass
class Counters:
    """What a run has done so far, over all attempts.

    trained_tokens: tokens that carried loss since step 0. seconds: of training. done: no step is left to do.
    history: the figures of every step, by the contract's names. checkpoints: the steps of those that are there.
    """

    step: int = 0
    trained_tokens: int = 0
    seconds: float = 0.0
    done: bool = False
    history: list[dict[str, Any]] = field(default_factory=list)
    checkpoints: list[int] = field(default_factory=list)


def read_counters(folder: Path) -> Counters:
    return Counters(**json.loads((folder / COUNTERS).read_text()))


def publish(written: Path, counters: Counters, run_dir: RunDir) -> Path:
    """Give a folder that the Trainer has written its name, by rename, once all that a resume needs is in it."""
    (written / "training_args.bin").unlink(missing_ok=True)  # a pickle that nobody reads, and full of this host's paths
    (written / COUNTERS).write_text(json.dumps(asdict(counters)))
    run_dir.checkpoints.mkdir(exist_ok=True)
    final = run_dir.checkpoints / f"step-{counters.step}"
    if final.exists():  # of an attempt that was killed in the same run directory
        shutil.rmtree(final)
    return written.rename(final)


def latest(run_dir: RunDir) -> Path | None:
    """The last checkpoint of this run directory."""
    found = run_dir.checkpoints.glob("step-*")
    return max(found, key=lambda path: int(path.name.removeprefix("step-")), default=None)
