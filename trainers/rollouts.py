"""Keeping some of the answers that a run has learnt from: rollouts.jsonl, of a checkpoint and of the artifacts."""

from collections.abc import Callable

from core.specs.rollouts import FILE, Rollout
from trainers.rundir import RunDir


class Rollouts:
    """Of the groups of answers so far, each 2^n-th: all up to 2 · `kept` answers, then more than `kept` and never more
    than 2 · `kept` and a group.

    How many groups lie between two that are kept follows from how many there are: so it is right at any step, whichever
    a run ends at, and a resumed run keeps the same ones. The file is one of the working folder, which Progress takes
    along with each checkpoint.

    Args:
        kept: answers.
        group: answers to one prompt of a step, which stay together; they follow one another.
    """

    def __init__(self, run_dir: RunDir, *, kept: int, group: int = 1) -> None:
        self.path = run_dir.working / FILE
        self._kept, self._group = kept, group

    def add(self, count: int, make: Callable[[int], Rollout], *, before: int) -> None:
        """Write down some of the answers of a step, and thin out those of earlier ones where that makes too many.

        Args:
            count: of whole groups, as `before` is.
            make: of the answer at a place in 0…count - 1.
            before: answers of all earlier steps.
        """
        every = self._every(before + count)
        if (ratio := every // self._every(before)) > 1:
            self._thin_out(ratio)
        with self.path.open("a", encoding="utf-8") as file:
            for place in range(count):
                if (before + place) // self._group % every == 0:
                    file.write(make(place).model_dump_json() + "\n")

    def _every(self, answers: int) -> int:
        every = 1
        while answers > 2 * self._kept * every:
            every *= 2
        return every

    def _thin_out(self, ratio: int) -> None:
        """Lines are those of evenly spaced groups from the first on, so that each `ratio`-th one is, too."""
        if not self.path.exists():  # the first step alone has too many
            return
        thinner = self.path.with_suffix(".partial")
        with self.path.open("rb") as file, thinner.open("wb") as kept:
            kept.writelines(line for place, line in enumerate(file) if place // self._group % ratio == 0)
        thinner.replace(self.path)
