"""`python -m benchmarks.validation`: MB/s of validation by the shape of a file, beside a bare reading, and its memory.

Both sides read the same file on one core, in processes of their own. The validation is the child process that a worker
runs, its start and its report included; the bare reading is what `benchmarks.shapes` names beside each shape. Rates are
of CPU seconds, which other programs on the machine disturb least, and of decoded bytes: of the JSONL inside a gzip, of
the texts in a Parquet file. Memory is the highest resident size of one child.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.asked import at_least, at_most
from benchmarks.pairs import in_turns, ratio
from benchmarks.shapes import SHAPES
from worker.checking import environment

ASKED_RATE = 50  # MB/s
PROMISED_BASE = 64 * 1024 * 1024  # bytes
PROMISED_ROW = 16  # bytes
ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Child:
    """seconds: of CPU, by both the program and the kernel for it. peak: bytes."""

    answered: bytes
    seconds: float
    peak: int


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shapes", nargs="*", choices=[[], *SHAPES], metavar="SHAPE")
    parser.add_argument("--pairs", type=int, default=3)
    options = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # one core, for the children too
    print(
        f"{'shape':18} {'rows':>9} {'MB':>5} {'bytes/row':>9} {'MB/s':>5}  bare MB/s, ratio       peak (promised) MiB"
    )
    reached: list[bool] = []
    for name in options.shapes or SHAPES:
        with tempfile.TemporaryDirectory() as folder:
            reached.append(measure(name, Path(folder) / "rows", pairs=options.pairs))
    return 0 if all(reached) else 1


def measure(name: str, path: Path, *, pairs: int) -> bool:
    """Whether rate and memory are what was asked for."""
    rows = SHAPES[name].rows
    size = int(shapes("write", name, rows, path)) / 1e6
    peaks: list[int] = []

    def validated() -> float:
        child = run("core.rows.check", path, path.name)
        report = json.loads(child.answered.partition(b"\n")[0])
        assert (report["rows"], report["fault_count"]) == (rows, 0)
        peaks.append(child.peak)
        return size / child.seconds

    measured = in_turns(validated, lambda: size / float(shapes("read", name, path)), pairs=pairs)
    ours, theirs = (statistics.median(side) for side in zip(*measured, strict=True))
    promised = PROMISED_BASE + PROMISED_ROW * rows
    print(
        f"{name:18} {rows:9,} {size:5.0f} {size * 1e6 / rows:9.0f} {ours:5.0f}  {SHAPES[name].bare} {theirs:.0f}, "
        f"{ratio(measured)}  {max(peaks) / 2**20:.1f} ({promised / 2**20:.1f})",
        flush=True,
    )
    fast = at_least("MB/s", ours, ASKED_RATE)
    return at_most("MiB", max(peaks) / 2**20, promised / 2**20) and fast


def shapes(*arguments: object) -> bytes:
    return run("benchmarks.shapes", *arguments).answered


def run(module: str, *arguments: object) -> Child:
    """A child of its own: what earlier ones took is not counted."""
    command: Sequence[str] = [sys.executable, "-P", "-m", module, *map(str, arguments)]
    inherited = {**environment(), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=inherited) as child:
        assert child.stdout is not None
        answered = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0
    return Child(answered, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


if __name__ == "__main__":
    sys.exit(main())
