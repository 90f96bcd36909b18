"""`python -m benchmarks.ppo`: seconds a step of PPO beside TRL's GRPOTrainer, which needs no values.

Both train SmolLM2-135M with the same adapter against the same reward model: as many answers a step, to the same
prompts, of the same length, and as many updates on them, once and four times. Each is a process; what counts are its
steps from the second on.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.asked import at_most
from benchmarks.direct import write_spec
from benchmarks.pairs import in_turns, ratio
from benchmarks.settings import LEARNING_RATE
from benchmarks.training import ROOT, prepare
from trainers import environment

ROWS = ROOT / "examples" / "support-preferences" / "train.jsonl"
GROUP, PROMPTS = 4, 2  # answers to a prompt, and prompts a step; of PPO each answer has a row of its own
LENGTH = 64  # tokens of an answer, at most: SmolLM2 seldom ends sooner
STEPS, PAIRS, ASKED = 4, 3, 1.3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--updates", nargs="+", type=int, default=[1, 4])
    environment.prepare()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = prepare(folder)
        judge, rows = make_judge(model, folder / "judge"), write_prompts(folder / "prompts.jsonl")
        updates = parser.parse_args().updates
        return 0 if all([compare(count, model, judge, rows, folder) for count in updates]) else 1


def compare(updates: int, model: Path, judge: Path, rows: Path, folder: Path) -> bool:
    found = ratio(
        in_turns(
            lambda: ours(updates, model, judge, rows, folder),
            lambda: plain(updates, model, judge, rows, folder),
            pairs=PAIRS,
        )
    )
    print(f"{updates} updates a step: seconds, PPO / GRPOTrainer {found}", flush=True)
    return at_most(f"PPO / GRPOTrainer, {updates} updates", found.median, ASKED)


def make_judge(model: Path, folder: Path) -> Path:
    """A reward model with a head of chance, which takes as long as any other."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(0)
    tokenizer: Any = AutoTokenizer.from_pretrained(model)
    scorer: Any = AutoModelForSequenceClassification.from_pretrained(
        model, num_labels=1, pad_token_id=tokenizer.pad_token_id or tokenizer.eos_token_id, dtype=torch.float32
    )
    scorer.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_prompts(path: Path) -> Path:
    """Each one as often as it is answered, one behind the other."""
    rows = [json.loads(line)["input"]["messages"] for line in ROWS.read_text().splitlines()]
    chosen = rows[: PROMPTS * STEPS]
    path.write_text("".join(json.dumps({"messages": messages}) + "\n" for messages in chosen for _ in range(GROUP)))
    return path


def ours(updates: int, model: Path, judge: Path, rows: Path, folder: Path) -> float:
    options = {
        "reward_models": ["judge"],
        "hyperparameters": {"n_epochs": 1, "batch_size": GROUP * PROMPTS},
        "optimization": {"learning_rate": LEARNING_RATE, "warmup": 0},
        "max_completion_tokens": LENGTH,
        "ppo_epochs": updates,
        "checkpoint_interval": STEPS,
    }
    run_dir = write_spec(folder, model=model, rows=rows, method={"type": "ppo", "ppo": options})
    spec = json.loads((run_dir / "spec.json").read_text())
    (run_dir / "spec.json").write_text(json.dumps(spec | {"reward_models": [{"base": str(judge)}]}))
    _child("trainers", run_dir)
    (counters,) = (run_dir / "checkpoints").glob("step-*/progress.json")
    history = json.loads(counters.read_text())["history"]
    return _seconds([step["seconds"] for step in history], [step["completion_tokens_mean"] for step in history])


def plain(updates: int, model: Path, judge: Path, rows: Path, folder: Path) -> float:
    output = tempfile.mkdtemp(dir=folder)
    arguments = (model, judge, rows, output, STEPS, updates, GROUP, PROMPTS, LENGTH, LEARNING_RATE)
    printed = json.loads(_child("benchmarks.plain_grpo", *arguments).splitlines()[-1])
    return _seconds(printed["seconds"], printed["tokens"])


def _seconds(of_steps: list[float], tokens: list[float]) -> float:
    found = statistics.median(of_steps[1:])
    print(f"    {found:.2f} s a step, answers of {statistics.fmean(tokens):.1f} tokens", flush=True)
    return found


def _child(module: str, *arguments: object) -> str:
    command = [sys.executable, "-m", module, *map(str, arguments)]
    return subprocess.run(
        command, cwd=ROOT, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ).stdout


if __name__ == "__main__":
    sys.exit(main())
