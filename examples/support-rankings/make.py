"""Write train.jsonl and validation.jsonl: four answers of a help desk to each question, ranked.

    python examples/support-rankings/make.py

The best names the part that belongs to the fault and says what to do; then come the same in more words and the right
thing for another part, which are as good as each other; an answer that only promises a call back is the worst.
"""

import json
import random
from pathlib import Path

SEED = 20261126
SYSTEM = "You are the help desk of Birchwood Tools."
DEVICES = ("label printer", "badge reader", "pallet scale", "dust extractor")
# A fault, and the part that it comes from.
FAULTS = {
    "makes a grinding noise": "the fan housing",
    "does not start": "the power supply",
    "stops after a minute": "the filter",
    "smells of hot plastic": "the cable",
}
ACTIONS = ("Open {part} and look for dirt.", "Clean {part} with a dry cloth.", "Check that {part} sits firmly.")


def ranking(draw: random.Random, device: str) -> dict[str, object]:
    fault = draw.choice(list(FAULTS))
    action, other = draw.choice(ACTIONS), draw.choice([part for name, part in FAULTS.items() if name != fault])
    best = action.format(part=FAULTS[fault])
    responses = [
        {"response": best, "rank": 1},
        {"response": f"Well, that may have many reasons, but perhaps this helps: {best}", "rank": 2},
        {"response": action.format(part=other), "rank": 2},
        {"response": "Somebody will call you back.", "rank": 3},
    ]
    return {
        "prompt": [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": f"Our {device} {fault}. What shall I do?"},
        ],
        "responses": draw.sample(responses, len(responses)),
    }


def main(folder: Path) -> None:
    """Devices of validation rows are never seen in training."""
    draw = random.Random(SEED)
    *trained, held_out = DEVICES
    for name, devices, count in (("train.jsonl", trained, 60), ("validation.jsonl", [held_out], 16)):
        rows = [ranking(draw, draw.choice(devices)) for _ in range(count)]
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))


if __name__ == "__main__":
    main(Path(__file__).parent)
