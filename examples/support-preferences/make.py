"""Write train.jsonl and validation.jsonl: two answers of a help desk to each question, of which one is preferred.

    python examples/support-preferences/make.py

Preferred is the answer in numbered steps; the other one says the same in one paragraph, and promises a call back.
"""

import json
import random
from pathlib import Path

SEED = 20261126
SYSTEM = "You are the help desk of Birchwood Tools."
DEVICES = {
    "label printer": ("the cover", "the ribbon", "the paper guide", "the grey lever", "the print head"),
    "badge reader": ("the front plate", "the cable", "the blue connector", "the mounting screws", "the status lamp"),
    "pallet scale": ("the platform", "the levelling feet", "the load cell", "the display", "the power supply"),
    "dust extractor": ("the hose", "the filter bag", "the clamp ring", "the fan housing", "the exhaust flap"),
}
FAULTS = ("makes a grinding noise", "does not start", "stops after a minute", "smells of hot plastic")
ACTIONS = ("open {part} and look for dirt", "clean {part} with a dry cloth", "check that {part} sits firmly")


def pair(draw: random.Random, device: str) -> dict[str, object]:
    fault = draw.choice(FAULTS)
    steps = [draw.choice(ACTIONS).format(part=part) for part in draw.sample(DEVICES[device], draw.randint(2, 4))]
    numbered = "\n".join(f"{i}. {step[0].upper()}{step[1:]}." for i, step in enumerate(steps, 1))
    told = f"Well, you could {', then maybe '.join(steps)}. Somebody will call you back."
    return {
        "input": {
            "messages": [
                {"role": "system", "content": SYSTEM},
                {"role": "user", "content": f"Our {device} {fault}. What shall I do?"},
            ]
        },
        "preferred_output": [{"role": "assistant", "content": numbered}],
        "non_preferred_output": [{"role": "assistant", "content": told}],
    }


def main(folder: Path) -> None:
    """Devices of validation rows are never seen in training."""
    draw = random.Random(SEED)
    *trained, held_out = DEVICES
    for name, devices, count in (("train.jsonl", trained, 60), ("validation.jsonl", [held_out], 16)):
        rows = [pair(draw, draw.choice(devices)) for _ in range(count)]
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))


if __name__ == "__main__":
    main(Path(__file__).parent)
