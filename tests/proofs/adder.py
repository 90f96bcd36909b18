"""Addition of three-digit numbers: the sums, a model of half a million random weights, and how often it is right.

The answer is written from its last digit on, so that each digit needs what stands before it only (Lee et al., 2023,
arXiv 2307.03381).
"""

import random
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from tests.trainers.runs import samples, write_rows, write_spec
from trainers import vocabulary
from trainers.prepare import complete
from trainers.run import run
from trainers.samples import complete as completions

LONGEST = 6  # tokens of an answer
HELD_OUT = 500  # sums that no training sees
ROWS = 10_000  # that supervised training sees
# No more than what tells question and answer apart.
TEMPLATE = (
    "{% for message in messages %}{{ message['content'] + ('=' if message['role'] == 'user' else '<|im_end|>') }}"
    "{% endfor %}"
)
SUPERVISED: dict[str, Any] = {
    "weights": "full",
    "max_steps": 3000,
    "hyperparameters": {"batch_size": 38},
    "optimization": {"learning_rate": 1.5e-3, "schedule": "cosine"},
    "eval_interval": 300,
    "checkpoint_interval": 3000,
    "samples": {"rows": HELD_OUT, "max_tokens": LONGEST},
}


def initialize(folder: Path) -> Path:
    """A Llama of half a million random weights."""
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


def draw_sums(seed: int, *, count: int) -> list[int]:
    """Of two numbers below a thousand, each written as one below a million; none twice.

    The first HELD_OUT are the seed's for validation, the next ROWS those of supervised training.
    """
    return random.Random(seed).sample(range(10**6), count)


def question(sum_: int) -> str:
    first, second = divmod(sum_, 1000)
    return f"{first:03}+{second:03}"


def answer(sum_: int) -> str:
    first, second = divmod(sum_, 1000)
    return f"{first + second:04}"[::-1]


def misread(sum_: int, draw: random.Random) -> str:
    """An answer with one wrong digit."""
    right = answer(sum_)
    at = draw.randrange(len(right))
    digit = draw.choice([digit for digit in "0123456789" if digit != right[at]])
    return right[:at] + digit + right[at + 1 :]


def pair(sum_: int, said: str) -> dict[str, str]:
    return {"prompt": question(sum_), "completion": said}


def said_by(folder: Path, sums: list[int]) -> list[str]:
    """A model's own answers, greedily decoded."""
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    asked = [[{"role": "user", "content": question(sum_)}] for sum_ in sums]
    prompts = [tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False) for chat in asked]
    ends = [tokenizer.convert_tokens_to_ids("<|im_end|>"), tokenizer.eos_token_id]
    return completions(model, tokenizer, prompts, ends=ends, max_tokens=LONGEST)


def train(folder: Path, base: Path, rows: list[Any], held_out: list[Any], *, seed: int, **method: Any) -> Path:
    """A run directory after its run: full weights, two threads."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    files = {
        "training_file": write_rows(folder.with_suffix(".jsonl"), rows),
        "validation_file": write_rows(folder.with_suffix(".valid.jsonl"), held_out),
    }
    run_dir = write_spec(folder, base=base, seed=seed, **files, **method)
    assert run(run_dir) == 0
    return run_dir


def exact_match(run_dir: Path, when: str = "after") -> float:
    """Of the held-out sums, `before` or `after` training."""
    said = samples(run_dir)
    assert len(said) == HELD_OUT
    return sum(sample[when] == answer(_sum(sample["prompt"][0]["content"])) for sample in said) / HELD_OUT


def _sum(asked: str) -> int:
    first, second = asked.split("+")
    return int(first) * 1000 + int(second)
