"""Pre-training ends where a plain loop ends on the same text, and tokens in random order teach no order."""

import random
from pathlib import Path
from typing import Any

import pytest

from tests.trainers import plain
from tests.trainers.runs import outcome, write_spec
from trainers.run import run

SIZES = {"hidden_size": 64, "layers": 2, "heads": 4, "intermediate_size": 192, "context": 64}
LENGTH, BATCH, STEPS, RATE = 64, 12, 200, 3e-3


@pytest.fixture
def texts(repository_root: Path) -> tuple[str, str]:
    text = (repository_root / "examples/short-stories/corpus.txt").read_text().replace("<|endoftext|>\n", "")
    cut = int(0.9 * len(text))
    return text[:cut], text[cut:]


def initialize(folder: Path, text: str, *, sizes: dict[str, int], seed: int) -> Path:
    """A model of the characters of a text."""
    folder.mkdir(parents=True)
    corpus = folder / "all.txt"
    corpus.write_text(text)
    options = {"sizes": sizes, "tokenizer": {"type": "characters"}}
    assert run(write_spec(folder / "init", base=None, training_file=corpus, initialization=options, seed=seed)) == 0
    return folder / "init/artifacts"


def pretrain(folder: Path, base: Path, training: str, validation: str, *, seed: int, **options: Any) -> Path:
    """A run of ours on such texts."""
    folder.mkdir(parents=True)
    files = {"training_file": folder / "training.txt", "validation_file": folder / "validation.txt"}
    files["training_file"].write_text(training)
    files["validation_file"].write_text(validation)
    run_dir = write_spec(folder / "run", base=base, pretraining=options, seed=seed, **files)
    assert run(run_dir) == 0
    return run_dir


def options(steps: int) -> dict[str, Any]:
    return {
        "max_length": LENGTH,
        "max_steps": steps,
        "hyperparameters": {"batch_size": BATCH},
        "optimization": {"learning_rate": RATE, "schedule": "cosine"},
        "eval_interval": steps,
        "checkpoint_interval": steps,
        "samples": {"rows": 0},
    }


def test_it_ends_where_a_plain_loop_ends(tmp_path: Path, texts: tuple[str, str]) -> None:
    training, validation = texts
    base = initialize(tmp_path / "model", training + validation, sizes=SIZES, seed=0)
    ours = outcome(pretrain(tmp_path / "ours", base, training, validation, seed=0, **options(STEPS)))["metrics"]
    theirs = plain.loop(base, training, validation, length=LENGTH, batch=BATCH, steps=STEPS, rate=RATE, seed=0)
    characters = list(training)
    random.Random(0).shuffle(characters)
    control = outcome(pretrain(tmp_path / "control", base, "".join(characters), validation, seed=0, **options(STEPS)))
    assert ours["valid_loss"] == pytest.approx(theirs, abs=0.05)
    assert control["metrics"]["valid_loss"] > ours["valid_loss"] + 1
