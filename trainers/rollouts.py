"""Keeping some of the answers that a run has learnt from: rollouts.jsonl, of a checkpoint and of the artifacts."""

import math
from collections.abc import Callable

from core.specs.rollouts import FILE, Rollout
from trainers.rundir import RunDir


class Rollouts:
    """As many answers of each step as make about `kept` of the run; with more steps than that, those of some steps.

    They are a file of the working folder, which Progress takes along with each checkpoint.

    Args:
        steps: of the run.
        each: answers of a step.
    """

    def __init__(self, run_dir: RunDir, *, kept: int, steps: int, each: int) -> None:
        self.path = run_dir.working / FILE
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
