"""Keeping some of the answers that a run has learnt from: rollouts.jsonl, of a checkpoint and of the artifacts."""

import math
import shutil
from collections.abc import Callable
from pathlib import Path

from core.specs.rollouts import Rollout
from trainers.rundir import RunDir

FILE = "rollouts.jsonl"


class Rollouts:
    """As many answers of each step as make about `kept` of the run; with more steps than that, those of some steps.

    Args:
        resume_from: a checkpoint's folder, whose rollouts come before these.
        steps: of the run.
        each: answers of a step.
    """

    def __init__(self, run_dir: RunDir, *, resume_from: str | None, kept: int, steps: int, each: int) -> None:
        run_dir.working.mkdir(parents=True, exist_ok=True)
        self.path = run_dir.working / FILE
        self.path.unlink(missing_ok=True)
        if resume_from and (Path(resume_from) / FILE).exists():
            shutil.copyfile(Path(resume_from) / FILE, self.path)
        self._every = max(1, steps // kept)
        self._each = min(each, math.ceil(kept / len(range(self._every, steps + 1, self._every))))

    def add(self, step: int, count: int, make: Callable[[int], Rollout]) -> None:
        """Write down some of the answers of a step, evenly spread.

        Args:
            make: of the answer at a place in 0…count - 1.
        """
        if step % self._every:
            return
        some = min(self._each, count)
        with self.path.open("a", encoding="utf-8") as file:
            for k in range(some):
                file.write(make(k * count // some).model_dump_json() + "\n")

    def copy_to(self, folder: Path) -> None:
        if self.path.exists():
            shutil.copyfile(self.path, folder / FILE)
