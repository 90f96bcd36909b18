"""`python -m graders.child`: one task from standard input, its answer to standard output, and the end.

A process of its own because what it grades with came from anybody: a metric over long texts, a source to compile. It
has no secrets, no more memory and time than `limit` allows, and is killed when its parent tires of it. What its graders
ask models goes to the parent, a line each way.
"""

import resource
import sys
from collections.abc import Sequence

from core.specs.asking import ChatQuestion, EmbedQuestion, Reply
from graders.monty import MontyRunner
from graders.needs import flaw
from graders.score import Scorer
from graders.task import Asked, Done, Replies, Task, Told

MEMORY = 4 * 1024**3  # bytes of address space; the sandbox and the comparison of formulas set lower limits of their own
SECONDS = 150  # of processor time


def main() -> int:
    task = Task.model_validate_json(sys.stdin.buffer.readline())
    limit()
    with MontyRunner() as monty:
        problem = flaw(task.grader, monty)
    if problem is not None:
        tell(Done(problem=Told(path=problem.path, message=problem.message)))
    elif task.sample is not None:
        with Scorer(ask) as scorer:
            tell(Done(outcome=scorer.score(task.grader, [task.sample])[0]))
    else:
        tell(Done())
    return 0


def ask(questions: Sequence[ChatQuestion | EmbedQuestion]) -> list[Reply]:
    tell(Asked(questions=list(questions)))
    return Replies.model_validate_json(sys.stdin.buffer.readline()).replies


def tell(message: Asked | Done) -> None:
    sys.stdout.write(message.model_dump_json() + "\n")
    sys.stdout.flush()


def limit() -> None:
    """From here on: no more memory, time and files than a grader needs, and nothing is written to disk."""
    for name, most in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CPU, SECONDS),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 128),
    ):
        resource.setrlimit(name, (most, most))


if __name__ == "__main__":
    sys.exit(main())
