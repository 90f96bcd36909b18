"""Write train.jsonl and validation.jsonl: answers of a help desk, and whether they were liked.

    python examples/support-feedback/make.py

Liked are answers in numbered steps; disliked ones say the same in one paragraph, and promise a call back.
"""

import json
import random
from pathlib import Path

SEED = 20261127
SYSTEM = "You are the help desk of Birchwood Tools."
DEVICES = {
    "band saw": ("the upper guide", "the blade", "the tension knob", "the table insert", "the lower wheel"),
    "hoist": ("the hook block", "the chain guide", "the limit switch", "the brake cover", "the pendant cable"),
    "air compressor": ("the intake filter", "the drain valve", "the belt guard", "the pressure switch", "the hose"),
    "floor scrubber": ("the squeegee", "the brush head", "the tank lid", "the float", "the charger plug"),
}
FAULTS = ("makes a rattling noise", "does not start", "stops after a minute", "vibrates more than it did")
ACTIONS = ("look at {part} and tighten it", "clean {part} with a dry cloth", "check that {part} sits firmly")
LIKED = 0.25  # share of the rows


def answer(draw: random.Random, device: str) -> dict[str, object]:
    steps = [draw.choice(ACTIONS).format(part=part) for part in draw.sample(DEVICES[device], draw.randint(2, 4))]
    liked = draw.random() < LIKED
    numbered = "\n".join(f"{i}. {step[0].upper()}{step[1:]}." for i, step in enumerate(steps, 1))
    told = f"Well, you could {', then maybe '.join(steps)}. Somebody will call you back."
    return {
        "prompt": [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": f"Our {device} {draw.choice(FAULTS)}. What shall I do?"},
        ],
        "completion": numbered if liked else told,
        "label": liked,
    }


def main(folder: Path) -> None:
    """Devices of validation rows are never seen in training."""
    draw = random.Random(SEED)
    *trained, held_out = DEVICES
    for name, devices, count in (("train.jsonl", trained, 80), ("validation.jsonl", [held_out], 24)):
        rows = [answer(draw, draw.choice(devices)) for _ in range(count)]
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))


if __name__ == "__main__":
    main(Path(__file__).parent)
