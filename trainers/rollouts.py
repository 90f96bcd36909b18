"""Keeping some of the answers that a run has learnt from: rollouts.jsonl, of a checkpoint and of the artifacts."""

from collections.abc import Callable
from itertools import islice

from core.specs.rollouts import FILE, Rollout
from trainers.rundir import RunDir


class Rollouts:
    """Of the answers so far, each 2^n-th: all up to 2 · `kept`, then more than `kept` and never more than 2 · `kept`.

    How many lie between two that are kept follows from how many there are: so it is right at any step, whichever a run
    ends at, and a resumed run keeps the same ones. The file is one of the working folder, which Progress takes along
    with each checkpoint.
    """

    def __init__(self, run_dir: RunDir, *, kept: int) -> None:
        self.path = run_dir.working / FILE
        self._kept = kept

    def add(self, count: int, make: Callable[[int], Rollout], *, before: int) -> None:
        """Write down some of the answers of a step, and thin out those of earlier ones where that makes too many.

        Args:
            make: of the answer at a place in 0…count - 1.
            before: answers of all earlier steps.
        """
        every = self._every(before + count)
        if (ratio := every // self._every(before)) > 1:
            self._thin_out(ratio)
        with self.path.open("a", encoding="utf-8") as file:
            for place in range(-before % every, count, every):
                file.write(make(place).model_dump_json() + "\n")

    def _every(self, answers: int) -> int:
        every = 1
        while answers > 2 * self._kept * every:
            every *= 2
        return every

    def _thin_out(self, ratio: int) -> None:
        """Lines are those of evenly spaced answers from the first on, so that each `ratio`-th one is, too."""
        if not self.path.exists():  # the first step alone has too many
            return
        thinner = self.path.with_suffix(".partial")
        with self.path.open("rb") as file, thinner.open("wb") as kept:
            kept.writelines(islice(file, 0, None, ratio))
        thinner.replace(self.path)
