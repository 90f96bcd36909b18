"""`python -m tests.chaos`: every fault, and the table of what it cost; `--hours` goes on with other seeds."""

import argparse
import logging
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.chaos.faults import FAULTS, Fault
from tests.chaos.report import fails, table
from tests.chaos.rounds import run_round


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the first round; each following one has the next")
    parser.add_argument("--hours", type=float, default=0.0, help="begin rounds for so long; 0: one round")
    parser.add_argument("--faults", default="", help="their numbers, separated by commas; all where left out")
    asked = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    numbers = {int(number) for number in asked.faults.split(",") if number}
    faults = [fault for fault in FAULTS if not numbers or fault.number in numbers]
    began, seed, broken = time.monotonic(), asked.seed, 0
    while True:
        broken += one_round(seed, faults)
        seed += 1
        if time.monotonic() - began > asked.hours * 3600:
            return 1 if broken else 0


def one_round(seed: int, faults: Sequence[Fault]) -> bool:
    """Run and print a round; whether it fails, in which case its folder stays."""
    folder = Path(tempfile.mkdtemp(prefix="tunesmith-chaos-"))
    folder.chmod(0o711)  # PostgreSQL's account has to reach its own folder
    began = time.monotonic()
    print(f"seed {seed}, in {folder}", flush=True)
    outcome = run_round(folder, seed=seed, faults=faults)
    print(table(outcome))
    print(f"{time.monotonic() - began:.0f} s", flush=True)
    if fails(outcome):
        print(f"logs and history: {folder}")
        return True
    shutil.rmtree(folder)
    return False


if __name__ == "__main__":
    sys.exit(main())
