"""How long an estimate of 100 MB of chats takes on one core, beside a bare reading of the file by msgspec.

    python -m benchmarks.estimate [--megabytes 100]

The model is SmolLM2-135M-Instruct. The file is generated from examples/order-emails: each row is one of its rows with
other names, so that few words repeat exactly. What is measured is the child process as the API starts it, from its
start to its answer, tied to one core.
"""

import argparse
import json
import os
import random
import resource
import string
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from benchmarks.asked import at_most
from core.estimate import process
from core.estimate.task import MeasureTask
from core.registry.catalogue import load_catalogue
from core.rows.jsonl import blocks
from core.settings import PACKAGED_CATALOGUE
from core.specs.base_model import Facts
from core.specs.run import PrepareSpec
from core.specs.supervised import SupervisedMethod

ROWS = Path(__file__).parent.parent / "examples" / "order-emails" / "train.jsonl"
LIMIT_SECONDS = 20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=100)
    options = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as name:
        card, path = make_card(Path(name)), Path(name) / "rows.jsonl"
        write(path, size=options.megabytes * 1_000_000)
        bare = timed(lambda: [msgspec.json.decode(line) and None for block in blocks(path) for _, line in block])[0]
        facts = Facts.model_validate_json((card / "facts.json").read_bytes())
        task = MeasureTask(
            card=str(card),
            training_file=str(path),
            method=SupervisedMethod(),
            context=facts.context,
            on_gpu=False,
        )
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds, found = timed(lambda: process.measure(task, Path(name)))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
    report = {
        "megabytes": options.megabytes,
        "rows": found.rows.total,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "bare_msgspec_seconds": round(bare, 1),
        "exact": found.exact,
        "tokenized_rows": found.rows.tokenized,
        "total_tokens": found.tokens.total,
        "interval": found.tokens.total_interval,
        "peak_mib": after.ru_maxrss // 1024,
    }
    sys.stdout.write(json.dumps(report) + "\n")
    return 0 if at_most("seconds of processor time", cpu, LIMIT_SECONDS * options.megabytes / 100) else 1


def make_card(folder: Path) -> Path:
    """The card of SmolLM2, made by a trainer's process as a worker would: torch does not belong into this one."""
    entry = load_catalogue(PACKAGED_CATALOGUE).find("smollm2")
    assert entry is not None
    card, spec = folder / "card", folder / "prepare.json"
    spec.write_text(PrepareSpec(source=entry.source, folder=str(card), weights=False).model_dump_json())
    subprocess.run([sys.executable, "-m", "trainers.prepare", str(spec)], check=True)
    return card


def timed(call):
    started = time.perf_counter()
    result = call()
    return time.perf_counter() - started, result


def write(path: Path, *, size: int) -> None:
    draw, rows = random.Random(0), ROWS.read_text().splitlines()
    written = 0
    with path.open("w") as file:
        while written < size:
            word = "".join(draw.choices(string.ascii_lowercase, k=6)).title()
            written += file.write(draw.choice(rows).replace("Order", f"{word} order", 1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
