"""`python -m benchmarks.cli_help`: how long `tunesmith --help` takes, beside a Python that does nothing."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from benchmarks.asked import at_most
from benchmarks.pairs import in_turns

PAIRS = 20


def seconds(*arguments: str) -> Callable[[], float]:
    """A measurement of Python with these arguments, from its start to its end."""

    def measure() -> float:
        started = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - started

    return measure


def main() -> int:
    reached: list[bool] = []
    nothing = seconds("-c", "pass")
    for command in (["--help"], ["jobs", "create", "--help"]):
        pairs = in_turns(seconds("-m", "tunesmith", *command), nothing, pairs=PAIRS)
        ours, bare = (statistics.median(column) * 1000 for column in zip(*pairs, strict=True))
        print(f"tunesmith {' '.join(command)}: {ours:.0f} ms, python -c pass: {bare:.0f} ms (medians of {PAIRS})")
        reached.append(at_most("ms", ours, 150))
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())
