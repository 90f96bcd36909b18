"""`python -m benchmarks.methods`: the wall time of further methods beside the same trainers of TRL in a plain script.

Both train SmolLM2-135M with the same adapter for the same steps of the same rows, each a process from its start to its
end: Python, model, rows, steps, the adapter on disk. Ours writes its events and a checkpoint besides.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.asked import at_most
from benchmarks.direct import write_spec
from benchmarks.pairs import in_turns, ratio
from benchmarks.settings import ANSWERS, BATCH, COMPLETION, CONTEXT, LEARNING_RATE, PROMPTS, SEQUENCES, SUMS
from benchmarks.training import ROOT, prepare
from trainers import environment

EXAMPLES = ROOT / "examples"
STEPS, PAIRS, ASKED = 6, 3, 1.05
ROWS = {
    "pretraining": EXAMPLES / "short-stories" / "train.jsonl",
    "reward_model": EXAMPLES / "support-preferences" / "train.jsonl",
    "dpo": EXAMPLES / "support-preferences" / "train.jsonl",
    "kto": EXAMPLES / "support-feedback" / "train.jsonl",
    "reinforcement": Path("sums.jsonl"),  # of settings.SUMS, in the temporary folder
}
FURTHER: dict[str, dict[str, Any]] = {
    "pretraining": {"weights": "adapter", "max_length": CONTEXT, "hyperparameters": {"batch_size": SEQUENCES}},
    "reinforcement": {
        "grader": {"type": "string_check", "name": "right", "operation": "like", "reference": "{{ item.answer }}"}
        | {"input": "{{ sample.output_text }}"},
        "group_size": ANSWERS,
        "max_completion_tokens": COMPLETION,
        "hyperparameters": {"batch_size": PROMPTS},
    },
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("methods", nargs="*", choices=[[], *ROWS], default=[])  # argparse looks for the default in it
    methods = parser.parse_args().methods or list(ROWS)
    environment.prepare()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = prepare(folder)
        write_sums(folder / ROWS["reinforcement"])
        return 0 if all([compare(method, model, folder) for method in methods]) else 1


def compare(method: str, model: Path, folder: Path) -> bool:
    found = ratio(in_turns(lambda: ours(method, model, folder), lambda: plain(method, model, folder), pairs=PAIRS))
    print(f"{method}: wall time, ours / TRL {found}", flush=True)
    return at_most(f"{method} / TRL", found.median, ASKED)


def write_sums(path: Path) -> None:
    rows = [{"messages": [{"role": "user", "content": asked}], "answer": answer} for asked, answer in SUMS]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def ours(method: str, model: Path, folder: Path) -> float:
    options = {
        "max_steps": STEPS,
        "hyperparameters": {"batch_size": BATCH},
        "optimization": {"learning_rate": LEARNING_RATE, "warmup": 0},
        "checkpoint_interval": STEPS,
        **FURTHER.get(method, {}),
    }
    asked = {"type": method, method: options}
    return _seconds("trainers", write_spec(folder, model=model, rows=folder / ROWS[method], method=asked))


def plain(method: str, model: Path, folder: Path) -> float:
    return _seconds(
        "benchmarks.plain_methods", method, model, folder / ROWS[method], tempfile.mkdtemp(dir=folder), STEPS
    )


def _seconds(module: str, *arguments: object) -> float:
    started = time.perf_counter()
    command = [sys.executable, "-m", module, *map(str, arguments)]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
