"""`python -m benchmarks.graders`: python graders in Monty and comparisons of formulas a second, on one core.

Everything is tied to one core: this process and those that it starts. What is measured is the whole way that training
takes, from samples to outcomes, with warm processes; every pair of formulas is another one, so that nothing is cached.
Rates are of CPU seconds, this process's and its children's, which other programs on the machine disturb least: medians
of three rounds.
"""

import os
import random
import statistics
import sys
from collections.abc import Callable

import psutil

from benchmarks.asked import at_least
from core.specs.graders import MathGrader, PythonGrader
from graders.sample import Sample
from graders.score import Scorer

ROUNDS = 3
CALLS, PAIRS = 2000, 600
SOURCE = """
import json, re

def grade(sample, item):
    found = re.findall(r"[-+]?[0-9]+", sample["output_text"])
    return 1.0 if found and found[-1] == item["answer"] else 0.0
"""


def samples(count: int, draw: random.Random) -> list[Sample]:
    """Answers as models give them, half of them right: whole numbers, fractions in LaTeX, boxed ones."""
    made: list[Sample] = []
    for i in range(count):
        a, b, off = draw.randint(2, 9999), draw.randint(2, 9999), draw.randint(0, 1)
        reference, answer = (
            (str(a * b), f"So there are {a * b + off} of them."),
            (f"{a}/{b}", f"The result is $\\frac{{{a + off}}}{{{b}}}$."),
            (f"\\frac{{{a}}}{{{b}}}", f"It follows that \\boxed{{\\frac{{{2 * a}}}{{{2 * b + off}}}}}."),
        )[i % 3]
        made.append(Sample(output_text=answer, item={"answer": reference}))
    return made


def rate(count: int, run: Callable[[], object]) -> float:
    """Runs a CPU second; `run` makes so many."""
    found: list[float] = []
    for _ in range(ROUNDS):
        before = cpu_seconds()
        run()
        found.append(count / (cpu_seconds() - before))
    return statistics.median(found)


def cpu_seconds() -> float:
    """Of this process and of those that it has started and that still run."""
    this = psutil.Process()
    times = [process.cpu_times() for process in (this, *this.children(recursive=True))]
    return sum(used.user + used.system for used in times)


def main() -> int:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    draw = random.Random(0)
    python = PythonGrader(type="python", name="p", source=SOURCE)
    math = MathGrader(type="math", name="m", reference="{{ item.answer }}")
    with Scorer(lambda _: []) as scorer:
        for grader in (python, math):  # starts what they need
            assert scorer.score(grader, samples(3, draw))[0].errors.details == []
        calls = rate(CALLS, lambda: scorer.score(python, samples(CALLS, draw)))
        pairs = rate(PAIRS, lambda: scorer.score(math, samples(PAIRS, draw)))
    print(f"python graders in Monty: {calls:.0f} calls/s; comparisons of formulas: {pairs:.0f} pairs/s")
    reached = [at_least("calls/s", calls, 500), at_least("pairs/s", pairs, 300)]
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())
