"""`python -m benchmarks.gpu`: each method on a GPU beside the same trainer of TRL in a plain script, and PPO by itself.

SmolLM2-135M with the same adapter, rows a step and learning rate. What counts are the seconds a step (the median, from
the third step on), the most memory that tensors took, and that both learn: the loss, or the reward, of the first and of
the last tenth of the steps. Ours is bf16 under an adapter; TRL's scripts have TRL's own defaults.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.direct import write_spec
from benchmarks.methods import FURTHER, ROWS
from benchmarks.settings import ANSWERS, BATCH, COMPLETION, LEARNING_RATE, PROMPTS
from benchmarks.training import DATA, ROOT, prepare
from trainers import environment

SPOKEN = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen"),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--methods", nargs="+", default=["supervised", *ROWS, "ppo"])
    parser.add_argument("--model", type=Path, help="a folder; the wheel's otherwise")
    options = parser.parse_args()
    environment.prepare()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = options.model or prepare(folder)
        for method in options.methods:
            rows = write_sums(folder) if method in ("reinforcement", "ppo") else ROWS.get(method, DATA / "train.jsonl")
            if method == "ppo":
                shown("ppo", "ours", ppo(model, folder, rows, options.steps))
                continue
            shown(method, "ours", ours(method, model, folder, rows, options.steps))
            shown(method, "TRL", plain(method, model, folder, rows, options.steps))
    return 0


def write_sums(folder: Path) -> Path:
    """Arithmetic in words: sums of two numbers up to fifteen."""
    draw = random.Random(0)
    pairs = [(draw.randrange(16), draw.randrange(16)) for _ in range(4000)]
    rows = [
        {"messages": [{"role": "user", "content": f"What is {SPOKEN[a]} plus {SPOKEN[b]}?"}], "answer": str(a + b)}
        for a, b in pairs
    ]
    path = folder / "words.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def shown(method: str, side: str, steps: list[dict[str, Any]]) -> None:
    tenth = max(1, len(steps) // 10)
    figures = [f"{name} {_mean(steps[:tenth], name):.4f} → {_mean(steps[-tenth:], name):.4f}" for name in _told(steps)]
    seconds = statistics.median(step["seconds"] for step in steps[2:])
    memory = (steps[-1]["memory"] or 0) / 2**30
    print(f"{method}, {side}: {seconds:.3f} s a step, {memory:.2f} GiB; {', '.join(figures)}", flush=True)


def _told(steps: list[dict[str, Any]]) -> list[str]:
    names = ("loss", "reward", "kl", "train_score_mean", "tokens_per_second")
    return [name for name in steps[-1] if name in names or "grader" in name]


def _mean(steps: list[dict[str, Any]], name: str) -> float:
    return statistics.fmean(step[name] for step in steps if step.get(name) is not None)


def ours(method: str, model: Path, folder: Path, rows: Path, steps: int, **further: Any) -> list[dict[str, Any]]:
    return trained(run_dir_of(method, model, folder, rows, steps, **further))


def run_dir_of(method: str, model: Path, folder: Path, rows: Path, steps: int, **further: Any) -> Path:
    options = {
        "max_steps": steps,
        "hyperparameters": {"batch_size": BATCH},
        "optimization": {"learning_rate": LEARNING_RATE, "warmup": 0},
        "checkpoint_interval": steps,
        **FURTHER.get(method, {}),
        **further,
    }
    return write_spec(folder, model=model, rows=rows, method={"type": method, method: options}, devices=[0])


def trained(run_dir: Path) -> list[dict[str, Any]]:
    """The figures of each step."""
    _child("trainers", run_dir)
    events = [json.loads(line) for line in (run_dir / "events.jsonl").read_text().splitlines()]
    found = [event["data"] for event in events if event["type"] == "metrics" and "train_loss" in event["data"]]
    (counters,) = (run_dir / "checkpoints").glob(f"step-{len(found)}/progress.json")
    seconds = [row["seconds"] for row in json.loads(counters.read_text())["history"]]
    names = {"train_loss": "loss", "train_reward_mean": "reward", "train_kl": "kl", "peak_memory_bytes": "memory"}
    return [
        {names.get(key, key): value for key, value in data.items()} | {"seconds": second}
        for data, second in zip(found, seconds, strict=True)
    ]


def plain(method: str, model: Path, folder: Path, rows: Path, steps: int) -> list[dict[str, Any]]:
    output = tempfile.mkdtemp(dir=folder)
    told = json.loads(_child("benchmarks.plain_methods", method, model, rows, output, steps).splitlines()[-1])
    logged = [entry for entry in told["logged"] if "loss" in entry][1:]
    further = [{"seconds": seconds, "memory": told["memory"]} for seconds in told["seconds"]]
    return [entry | more for entry, more in zip(logged, further, strict=True)]


def ppo(model: Path, folder: Path, rows: Path, steps: int) -> list[dict[str, Any]]:
    """Against a reward model of right and wrong sums, which is trained first."""
    path = folder / "pairs.jsonl"
    path.write_text("".join(json.dumps(pair(json.loads(line))) + "\n" for line in rows.read_text().splitlines()))
    judge = run_dir_of("reward_model", model, folder, path, 300, hyperparameters={"batch_size": 32})
    shown("reward_model of sums", "ours", trained(judge))
    run_dir = run_dir_of(
        "ppo",
        model,
        folder,
        rows,
        steps,
        reward_models=["judge"],
        grader=FURTHER["reinforcement"]["grader"],
        grader_weight=0,  # told, and not optimised
        max_completion_tokens=COMPLETION,
        hyperparameters={"batch_size": ANSWERS * PROMPTS},
    )
    spec = json.loads((run_dir / "spec.json").read_text())
    judges = {"reward_models": [{"base": str(model), "adapter": str(judge / "artifacts")}]}
    (run_dir / "spec.json").write_text(json.dumps(spec | judges))
    return trained(run_dir)


def pair(row: dict[str, Any]) -> dict[str, Any]:
    """A right and a wrong answer to a sum."""
    asked = row["messages"][0]["content"].removeprefix("What is ").removesuffix("?").capitalize()
    wrong = int(row["answer"]) + random.Random(asked).choice([-3, -2, -1, 1, 2, 3])
    right, wrong = ([{"role": "assistant", "content": f"{asked} is {sum}."}] for sum in (row["answer"], wrong))
    return {"input": {"messages": row["messages"]}, "preferred_output": right, "non_preferred_output": wrong}


def _child(module: str, *arguments: object) -> str:
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{command[2:]}: {done.stdout[-2000:]}{done.stderr[-3000:]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
