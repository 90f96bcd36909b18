"""`python -m benchmarks.validation`: MB/s of validation beside a bare msgspec decode, and the memory that it takes.

Rows are chats of about 1.5 kB: a system prompt, two questions, two answers, in words of natural lengths, with dates,
figures, and here and there an address. Both sides read the same file on one core; the validation is the child process
that a worker runs, its start and its report included. Memory is the child's highest resident size.
"""

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from benchmarks.pairs import in_turns, ratio
from core.rows.jsonl import lines

PROMISED_BASE = 64 * 1024 * 1024  # bytes
PROMISED_ROW = 16  # bytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--pairs", type=int, default=3)
    options = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # one core, for the children too
    for count in options.rows:
        with tempfile.NamedTemporaryFile(suffix=".jsonl") as file:
            write_rows(Path(file.name), count)
            measure(Path(file.name), count, pairs=options.pairs)


def measure(path: Path, rows: int, *, pairs: int) -> None:
    size = path.stat().st_size / 1e6
    measured = in_turns(lambda: size / validation(path), lambda: size / bare(path), pairs=pairs)
    peak = validation_memory()
    promised = PROMISED_BASE + PROMISED_ROW * rows
    ours, theirs = (statistics.median(side) for side in zip(*measured, strict=True))
    print(f"{rows} rows, {size:.0f} MB, {size * 1e6 / rows:.0f} bytes a row")
    print(f"  validation {ours:.0f} MB/s, bare msgspec decode {theirs:.0f} MB/s, ratio {ratio(measured)}")
    print(f"  peak memory {peak / 2**20:.1f} MiB, promised {promised / 2**20:.1f} MiB")


def validation(path: Path) -> float:
    """CPU seconds of one child; on a core that others use too, the wall clock would count them."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-P", "-m", "core.rows.check", str(path), path.name]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent), "OPENBLAS_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as child:
        assert child.stdout is not None
        answered = child.stdout.read()
        assert child.wait() == 0
    assert json.loads(answered.partition(b"\n")[0])["fault_count"] == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def validation_memory() -> int:
    """The highest resident size, in bytes, of any child so far; files come in the order of their size."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024


def bare(path: Path) -> float:
    """CPU seconds of decoding every line and nothing else."""
    started = time.process_time()
    for _, line in lines(path):
        msgspec.json.decode(line)
    return time.process_time() - started


def write_rows(path: Path, count: int) -> None:
    rng = random.Random(0)
    words = [
        "".join(rng.choices("etaoinshrdlucmfwypvbgk", k=rng.choice((1, 2, 3, 3, 4, 5, 6, 8, 11)))) for _ in range(8000)
    ]

    def text(length: int) -> str:
        said = rng.choices(words, k=length)
        if rng.random() < 0.3:
            said[rng.randrange(length)] = f"{rng.randrange(1990, 2030)}-{rng.randrange(1, 13):02d}-01"
        if rng.random() < 0.2:
            said[rng.randrange(length)] = f"${rng.random() * 1000:.2f},"
        if rng.random() < 0.01:
            said[rng.randrange(length)] = f"{rng.choice(words)}@example.org"
        return " ".join(said)

    with path.open("wb") as file:
        for _ in range(count):
            messages = [{"role": "system", "content": text(25)}]
            for _ in range(2):
                messages.append({"role": "user", "content": text(35)})
                messages.append({"role": "assistant", "content": text(80)})
            file.write(msgspec.json.encode({"messages": messages}) + b"\n")


if __name__ == "__main__":
    main()
