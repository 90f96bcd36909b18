"""Sums of two-digit numbers with a chain of thought, and riddles that nobody can answer.

The chain of a sum is short, or has lines that say nothing: which of the two is chance. That of a riddle always has such
lines, so that there is something to shorten in both, and no line in common with sums.
"""

import random
from pathlib import Path
from typing import Any

from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.proofs import adder
from trainers.samples import complete

LONGEST = 80  # tokens of an answer
ROWS, HELD_OUT, DIGITS = 4000, 300, 2
RIDDLES = 3  # one prompt of so many is one
IDLE = ("so add\n", "and tens\n", "so all\n")
IDLE_SHARE = 0.5  # of the chains of sums: short ones are learnt as well as long ones, and are right as often
SUPERVISED: dict[str, Any] = {
    "weights": "full",
    "max_steps": 400,
    "hyperparameters": {"batch_size": 32},
    "optimization": {"learning_rate": 1.5e-3, "schedule": "cosine"},
    "checkpoint_interval": 20,
    "eval_interval": 400,
    "samples": adder.NO_SAMPLES,
}
REASONING: dict[str, Any] = {
    "type": "reasoning",
    "name": "reasoning",
    "reference": "{{ item.answer }}",
    "check": "text",
    "weights": {"brevity": 3.0},  # more than usual: what can be saved of such chains is lines, and not pages
    "brevity_half_length": 40,
}
# Brevity as the reasoning reward has it, with the same weight, but paid for whether the answer is right or not.
SHORT: dict[str, Any] = {
    "type": "python",
    "name": "short",
    "source": "def grade(sample, item):\n    return 3 / (1 + len(sample['output_text']) / 40)\n",
}


def chain(asked: str, draw: random.Random) -> str:
    """Units, tens with what is carried, and the sum; with idle lines, or without."""
    (a, b), (c, d) = asked.split("+")
    units = int(b) + int(d)
    tens = int(a) + int(c) + units // 10
    steps = (f"{b}+{d}={units}\n", f"{a}+{c}+{units // 10}={tens}\n", f"{tens}{units % 10}\n")
    idle = IDLE if draw.random() < IDLE_SHARE else ("", "", "")
    return "".join(said + step for said, step in zip(idle, steps, strict=True)).strip()


def guess(draw: random.Random) -> tuple[str, str]:
    """(a chain for a riddle, the answer behind it)"""
    said = str(draw.randrange(10))
    return f"who knows\nhmm hmm\nit is {said}", said


def total(asked: str) -> str:
    first, second = asked.split("+")
    return str(int(first) + int(second)) if int(first) + int(second) >= 10 else f"0{int(first) + int(second)}"


def problems(seed: int, *, count: int) -> list[dict[str, str]]:
    """`{problem, reasoning, answer}`"""
    draw = random.Random(seed)
    rows: list[dict[str, str]] = []
    for i, asked in enumerate(adder.draw_sums(seed, count=count, digits=DIGITS)):
        if i % RIDDLES == RIDDLES - 1:
            reasoning, said = guess(draw)
            rows.append({"problem": f"?{asked[:2]}{asked[3:]}", "reasoning": reasoning, "answer": said})
        else:
            rows.append({"problem": asked, "reasoning": chain(asked, draw), "answer": total(asked)})
    return rows


def asked(seed: int, *, count: int) -> list[dict[str, str]]:
    """The same as prompts: `{problem, answer}`. What nobody says is the answer to a riddle."""
    return [
        {"problem": row["problem"], "answer": "?" if is_riddle(row) else row["answer"]}
        for row in problems(seed, count=count)
    ]


def held_out() -> list[dict[str, str]]:
    """Prompts that no training sees."""
    return asked(0, count=HELD_OUT + ROWS)[:HELD_OUT]  # others are drawn first where fewer are drawn


def trained(seed: int, held_out: list[dict[str, str]]) -> list[dict[str, str]]:
    """Prompts of a seed, none of which is held out."""
    known = {row["problem"] for row in held_out}
    drawn = asked(seed, count=HELD_OUT + 2 * ROWS)[-ROWS:]
    return [row for row in drawn if row["problem"] not in known]


def train_half(folder: Path) -> Path:
    """A model that is right on about half of the sums."""
    rows = problems(0, count=HELD_OUT + ROWS)
    held_out, trained = rows[:HELD_OUT], rows[HELD_OUT:]
    base = adder.initialize(folder / "base")
    run_dir = adder.train(folder / "half", base, trained, held_out, seed=0, supervised=SUPERVISED)
    sums = [row for row in held_out if not is_riddle(row)]

    def share(folder: Path) -> float:
        return sum(right(row, said) for row, said in zip(sums, said_by(folder, sums), strict=True)) / len(sums)

    return adder.first_checkpoint(run_dir, share, least=0.5)[0]


def said_by(folder: Path, rows: list[dict[str, str]]) -> list[str]:
    """A model's own answers, greedily decoded."""
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    chats = [[{"role": "user", "content": row["problem"]}] for row in rows]
    prompts = [tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False) for chat in chats]
    ends = [tokenizer.convert_tokens_to_ids("<|im_end|>"), tokenizer.eos_token_id]
    model = AutoModelForCausalLM.from_pretrained(folder)
    return complete(model, tokenizer, prompts, ends=ends, max_tokens=LONGEST)


def is_riddle(row: dict[str, str]) -> bool:
    return row["problem"].startswith("?")


def right(row: dict[str, str], said: str) -> bool:
    return said.rpartition("</think>")[2].strip() == row["answer"]
