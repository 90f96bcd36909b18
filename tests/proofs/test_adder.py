"""Addition of three-digit numbers, learnt from nothing by full-weights training, on sums that training never saw.

The answer is written from its last digit on, so that each digit needs what stands before it only (Lee et al., 2023,
arXiv 2307.03381). The control is the same training on the same answers, dealt to the wrong sums: what it learns
can't be addition, and an evaluation that lets it pass would measure nothing.
"""

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from tests.trainers.conftest import RENAMED
from tests.trainers.runs import samples, write_rows, write_spec
from trainers import vocabulary
from trainers.prepare import complete
from trainers.run import run

ROWS, HELD_OUT = 10_000, 500
SEEDS = (0, 1, 2)
# No more than what tells question and answer apart.
TEMPLATE = (
    "{% for message in messages %}{{ message['content'] + ('=' if message['role'] == 'user' else '<|im_end|>') }}"
    "{% endfor %}"
)
ADDER: dict[str, Any] = {
    "weights": "full",
    "max_steps": 3000,
    "hyperparameters": {"batch_size": 38},
    "optimization": {"learning_rate": 1.5e-3, "schedule": "cosine"},
    "eval_interval": 1000,
    "checkpoint_interval": 3000,
    "samples": {"rows": HELD_OUT, "max_tokens": 6},
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of half a million random weights."""
    folder = tmp_path_factory.mktemp("adder") / "base"
    tokenizer = vocabulary.of_bytes()
    tokenizer.chat_template = TEMPLATE
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=2048,
        bos_token_id=None,
        eos_token_id=tokenizer.convert_tokens_to_ids("<|im_end|>"),
        pad_token_id=0,
        tie_word_embeddings=True,
        initializer_range=0.08,
    )
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    complete(folder)
    return folder


def total(sum_: int) -> str:
    first, second = divmod(sum_, 1000)
    return f"{first + second:04}"[::-1]


def row(sum_: int, answer: str) -> dict[str, str]:
    first, second = divmod(sum_, 1000)
    return {"prompt": f"{first:03}+{second:03}", "completion": answer}


def exact_match(folder: Path, base: Path, *, seed: int, shuffled: bool) -> float:
    """Of the held-out sums, after training."""
    draw = random.Random(seed)
    sums = draw.sample(range(10**6), ROWS + HELD_OUT)
    training, held_out = sums[:ROWS], sums[ROWS:]
    answers = [total(sum_) for sum_ in training]
    if shuffled:
        draw.shuffle(answers)
    name = f"{'shuffled' if shuffled else 'adder'}-{seed}"
    training_file = write_rows(folder / f"{name}.jsonl", list(map(row, training, answers)))
    valid = write_rows(folder / f"{name}-valid.jsonl", [row(sum_, total(sum_)) for sum_ in held_out])
    files = {"training_file": training_file, "validation_file": valid}
    run_dir = write_spec(folder / name, base=base, supervised=ADDER, seed=seed, **files)
    assert run(run_dir) == 0
    said = samples(run_dir)
    assert len(said) == HELD_OUT
    return sum(sample["after"] == sample["expected"] for sample in said) / HELD_OUT


@pytest.mark.proof
@pytest.mark.filterwarnings(RENAMED)
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", SEEDS)
def test_it_adds_and_with_shuffled_answers_it_does_not(tmp_path: Path, base: Path, seed: int) -> None:
    learnt, control = (exact_match(tmp_path, base, seed=seed, shuffled=shuffled) for shuffled in (False, True))
    print(json.dumps({"seed": seed, "exact match": learnt, "shuffled": control}))  # noqa: T201 - the figures
    assert learnt >= 0.99
    assert control <= 0.01  # a guess of the likeliest answer is right once in a thousand
