"""`python -m core.estimate.child`: one task from standard input, its answer to standard output, and the end.

A process of its own because what it runs is not ours: a template that came with a model, over rows that came from
anybody. It has no secrets, no more memory and time than `limits` allow, and is killed when its parent tires of it.
"""

import resource
import sys

from pydantic import TypeAdapter

from core.estimate.measure import measure
from core.estimate.preview import preview
from core.estimate.task import Answer, MeasureTask, Refused, Task
from core.rows.error import RowError

MEMORY = 3 * 1024**3  # bytes of address space
SECONDS = 120  # of processor time
TASK: TypeAdapter[Task] = TypeAdapter(Task)


def main() -> int:
    task = TASK.validate_json(sys.stdin.buffer.read())
    limit()
    try:
        answer = Answer(measured=measure(task)) if isinstance(task, MeasureTask) else Answer(previewed=preview(task))
    except (ValueError, RowError) as error:
        answer = Answer(refused=Refused(message=str(error)[:2000]))
    sys.stdout.write(answer.model_dump_json())
    return 0


def limit() -> None:
    """From here on: no more memory, time, files or processes than the task needs, and nothing is written to disk."""
    for name, most in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CPU, SECONDS),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 32),
    ):
        resource.setrlimit(name, (most, most))


if __name__ == "__main__":
    sys.exit(main())
