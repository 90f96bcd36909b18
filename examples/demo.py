"""Order e-mails to JSON: train a small model through the API and see whether it got better.

    python examples/demo.py --env-file .tunesmith/env

Exit status 0 only if exact match on the validation rows, which training never sees, has risen by 25 points.
With --control the answers of the training rows are dealt out at random: the form can be learnt, the task can't.
"""

import argparse
import json
import os
import random
import sys
from pathlib import Path

from rich.console import Console
from tunesmith import Tunesmith, samples
from tunesmith.env import load_env

DATA = Path(__file__).parent / "order-emails"
MODEL = "smollm2-135m-instruct"
METHOD = {
    "type": "supervised",
    "supervised": {
        "hyperparameters": {"n_epochs": 1, "batch_size": 6},
        "checkpoint_interval": 10,
        "eval_interval": 1000,
        "samples": {"rows": 36, "max_tokens": 48},
    },
}
MINIMUM_GAIN = 0.25


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--env-file", type=Path, default=Path(".tunesmith/env"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--control", action="store_true", help="train on wrong answers; must fail")
    arguments = parser.parse_args()
    load_env(arguments.env_file)
    console = Console()
    client = Tunesmith()

    paths = {name: DATA / f"{name}.jsonl" for name in ("train", "validation")}
    if arguments.control:
        paths["train"] = shuffled(paths["train"], arguments.env_file.parent / "demo", seed=arguments.seed)
    uploaded = {name: client.files.create(file=path) for name, path in paths.items()}
    job = client.fine_tuning.jobs.create(
        model=MODEL,
        training_file=uploaded["train"].id,
        validation_file=uploaded["validation"].id,
        suffix="order-emails",
        seed=arguments.seed,
        method=METHOD,
    )
    console.print(f"job {job.id} on {MODEL}")
    job = client.fine_tuning.jobs.watch(job.id, console=console)
    if job.status != "succeeded":
        console.print(f"the job {job.status}: {job.error.message if job.error else job.status_reason}")
        return 1

    folder = arguments.env_file.parent / "demo" / job.id
    files = client.fine_tuning.jobs.artifacts.download(job.id, folder)
    console.print(f"{len(files)} files in {folder}, each with the SHA-256 that the server announced")
    rows = samples.load(folder / "samples.jsonl")
    console.print(samples.table(rows))
    before, after = samples.exact_match(rows)
    console.print(f"exact match on {len(rows)} held-out rows: {before:.0%} → {after:.0%}")

    env = arguments.env_file
    console.print(
        f"""
The stack runs at {os.environ["TUNESMITH_BASE_URL"]}; the key is in {env}. Next:
  .venv/bin/tunesmith --env-file {env} jobs list
  .venv/bin/tunesmith --env-file {env} jobs events {job.id}
  .venv/bin/tunesmith --env-file {env} jobs create --model {job.fine_tuned_model} \\
      --training-file {uploaded["train"].id} --wait
Stop it with: make down""",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    if after - before < MINIMUM_GAIN:
        console.print(f"exact match rose by less than {MINIMUM_GAIN:.0%}")
        return 1
    return 0


def shuffled(path: Path, folder: Path, *, seed: int) -> Path:
    """A copy of the file in which each e-mail has the answer to another one."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    answers = [row["messages"].pop() for row in rows]
    random.Random(seed).shuffle(answers)
    for row, answer in zip(rows, answers, strict=True):
        row["messages"].append(answer)
    folder.mkdir(exist_ok=True)
    copy = folder / f"control-{seed}.jsonl"
    copy.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return copy


if __name__ == "__main__":
    sys.exit(main())
