"""Write a small file of each form of rows that the other examples have none of, named by the form.

    python examples/row-forms/make.py

All of them ask how far something goes: what differs is what a row says about the answer.
"""

import json
import random
from pathlib import Path

SEED = 20261126
ROWS = 12
MOVERS = ("A train", "A bus", "A ferry", "A lorry", "A motorboat", "A tram")


def journey(draw: random.Random) -> dict[str, str]:
    """A question, its answer in several qualities, and how the best is found."""
    mover, speed, hours = draw.choice(MOVERS), draw.randrange(6, 90, 2), draw.randint(2, 9)
    length = f"{speed * hours} km"
    return {
        "question": f"{mover} does {speed} km/h for {hours} hours. How far does it go?",
        "reasoning": f"Distance is speed times time: {speed} · {hours} = {speed * hours}.",
        "answer": f"It goes {length}.",
        "length": length,
        "wordy": f"That is a good question! All in all, I would say that it goes {length}.",
        "wrong": f"It goes {speed + hours} km.",
    }


def forms(draw: random.Random, of: dict[str, str]) -> dict[str, dict[str, object]]:
    question, answer = of["question"], of["answer"]
    pair = {"prompt": question, "chosen": answer, "rejected": of["wrong"]}
    near = {"prompt": question, "chosen": answer, "rejected": of["wordy"]}
    return {
        "prompt_completion": {"prompt": question, "completion": answer},
        "instruction_response": {"instruction": question, "response": answer},
        # What no one shows the model, and a grader compares its answer with.
        "prompt": {"messages": [{"role": "user", "content": question}], "length": of["length"]},
        "problem": {"problem": question, "answer": of["length"]},
        "reasoning": {"problem": question, "reasoning": of["reasoning"], "answer": answer},
        "prompt_chosen_rejected": pair,
        # A wrong answer is worse by more than a long one.
        "margin": draw.choice(({**pair, "margin": 3.0}, {**near, "margin": 0.5})),
    }


def main(folder: Path) -> None:
    draw = random.Random(SEED)
    rows = [forms(draw, journey(draw)) for _ in range(ROWS)]
    for form in rows[0]:
        lines = (json.dumps(row[form], ensure_ascii=False) + "\n" for row in rows)
        (folder / f"{form}.jsonl").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main(Path(__file__).parent)
