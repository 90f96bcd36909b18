"""Addition of three-digit numbers: the sums, a model of half a million random weights, and how often it is right.

The answer is written from its last digit on, so that each digit needs what stands before it only (Lee et al., 2023,
arXiv 2307.03381).
"""

import random
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from core.rows.chat import Chat, Message
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
NO_SAMPLES = {"rows": 0}
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


@dataclass(frozen=True)
class Adders:
    """Models of one training: at its end, and where it was first right on three sums of ten.

    How fast addition is learnt differs from machine to machine, so that no fixed step would do.
    """

    trained: Path
    half_trained: Path


def train_both(folder: Path, *, digits: int = 3, rows: int = ROWS, steps: int = 1500) -> Adders:
    base = initialize(folder / "base")
    sums = draw_sums(0, count=HELD_OUT + rows, digits=digits)
    held_out, trained = ([pair(asked, answer(asked)) for asked in part] for part in (sums[:HELD_OUT], sums[HELD_OUT:]))
    options = {
        **SUPERVISED,
        "max_steps": steps,
        "checkpoint_interval": steps // 30,
        "samples": NO_SAMPLES,
        # Not as high as above: weights that still shake get better by whatever calms them, the controls' rows as well.
        "optimization": {"learning_rate": 7e-4, "schedule": "constant"},
    }
    run_dir = train(folder / "half", base, trained, held_out, seed=0, supervised=options)
    half_trained, share = first_checkpoint(run_dir, lambda path: share_right(path, sums[:HELD_OUT]), least=0.3)
    assert share <= 0.7
    return Adders(run_dir / "artifacts", half_trained)


def first_checkpoint(run_dir: Path, share: Callable[[Path], float], *, least: float) -> tuple[Path, float]:
    """(the first one whose share of right answers is at least that, its share); it grows from each to the next."""
    found: dict[Path, float] = {}

    def look(path: Path) -> float:
        found[path] = share(path)
        print(path.name, found[path])  # noqa: T201 - the figures
        return found[path]

    checkpoints = sorted(run_dir.glob("checkpoints/step-*"), key=lambda path: int(path.name.removeprefix("step-")))
    first = bisect_left(checkpoints, least, key=look)
    assert first < len(checkpoints), "it does not learn to add"
    return checkpoints[first], found[checkpoints[first]]


def draw_sums(seed: int, *, count: int, digits: int = 3) -> list[str]:
    """Of two numbers of so many digits, as they are asked; none twice.

    The first HELD_OUT are the seed's for validation, the next ROWS those of supervised training, what follows is for
    preferences.
    """
    drawn = random.Random(seed).sample(range(10 ** (2 * digits)), count)
    return [f"{both // 10**digits:0{digits}}+{both % 10**digits:0{digits}}" for both in drawn]


def answer(asked: str) -> str:
    first, second = asked.split("+")
    return f"{int(first) + int(second):0{len(first) + 1}}"[::-1]


def misread(asked: str, draw: random.Random) -> str:
    """An answer with one wrong digit."""
    right = answer(asked)
    at = draw.randrange(len(right))
    digit = draw.choice([digit for digit in "0123456789" if digit != right[at]])
    return right[:at] + digit + right[at + 1 :]


def chat(asked: str, said: str) -> Chat:
    """A sum with an answer, which is trained."""
    return Chat([Message("user", asked), Message("assistant", said, trained=True)])


def pair(asked: str, said: str) -> dict[str, str]:
    return {"prompt": asked, "completion": said}


def said_by(folder: Path, sums: list[str]) -> list[str]:
    """A model's own answers, greedily decoded."""
    model, tokenizer, prompts = _asked(folder, sums)
    ends = [tokenizer.convert_tokens_to_ids("<|im_end|>"), tokenizer.eos_token_id]
    return completions(model, tokenizer, prompts, ends=ends, max_tokens=LONGEST)


def share_right(folder: Path, sums: list[str]) -> float:
    return sum(said == answer(asked) for said, asked in zip(said_by(folder, sums), sums, strict=True)) / len(sums)


@torch.no_grad()
def sampled(folder: Path, sums: list[str], *, count: int, seed: int) -> list[list[str]]:
    """`count` answers to each sum, drawn as the model thinks them likely."""
    model, tokenizer, prompts = _asked(folder, sums)
    torch.manual_seed(seed)
    drawn = model.eval().generate(
        torch.tensor(prompts),  # all of one length
        do_sample=True,
        top_k=0,
        num_return_sequences=count,
        max_new_tokens=LONGEST,
        eos_token_id=tokenizer.convert_tokens_to_ids("<|im_end|>"),
        pad_token_id=tokenizer.pad_token_id,
    )
    said = tokenizer.batch_decode(drawn[:, len(prompts[0]) :], skip_special_tokens=True)
    return [said[at : at + count] for at in range(0, len(said), count)]


def _asked(folder: Path, sums: list[str]) -> tuple[Any, Any, list[list[int]]]:
    """(model, tokenizer, prompts)"""
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    chats = [[{"role": "user", "content": asked}] for asked in sums]
    prompts = [tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False) for chat in chats]
    return AutoModelForCausalLM.from_pretrained(folder), tokenizer, prompts


def train(folder: Path, base: Path, rows: list[Any], held_out: list[Any], *, seed: int, **method: Any) -> Path:
    """A run directory after its run."""
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
    return sum(sample[when] == answer(sample["prompt"][0]["content"]) for sample in said) / HELD_OUT
