"""Write train.jsonl and validation.jsonl: answers of a help desk, most of them short, a few very long.

    python examples/support-chats/make.py

How many steps an answer has is drawn from a log-normal distribution, as lengths of real chats are. Rows that are padded
to the longest of their batch are then mostly padding.
"""

import json
import random
from pathlib import Path

SEED = 20261125
SYSTEM = "You are the help desk of Birchwood Tools. Answer in numbered steps."
DEVICES = {
    "label printer": ("the cover", "the ribbon", "the paper guide", "the grey lever", "the print head"),
    "badge reader": ("the front plate", "the cable", "the blue connector", "the mounting screws", "the status lamp"),
    "pallet scale": ("the platform", "the levelling feet", "the load cell", "the display", "the power supply"),
    "dust extractor": ("the hose", "the filter bag", "the clamp ring", "the fan housing", "the exhaust flap"),
    "bench grinder": ("the wheel guard", "the tool rest", "the spark shield", "the eye shields", "the mains switch"),
}
FAULTS = (
    "makes a grinding noise",
    "does not start",
    "stops after a minute",
    "shows error {n}",
    "smells of hot plastic",
)
ACTIONS = (
    "Open {part} and look for dirt.",
    "Clean {part} with a dry cloth.",
    "Check that {part} sits firmly.",
    "Loosen {part}, wait {n} seconds, and fasten it again.",
    "Compare {part} with figure {n} of the manual.",
    "Replace {part} if it is cracked, and note the serial number.",
    "Switch the {device} off, press {part} for {n} seconds, and switch it on.",
    "Write down what {part} does while the {device} is running.",
)
ENDING = "If the {device} still {fault}, call extension {n}."


def chat(draw: random.Random) -> dict[str, object]:
    device = draw.choice(list(DEVICES))
    fault = draw.choice(FAULTS).format(n=draw.randint(10, 99))
    steps = min(45, max(1, round(draw.lognormvariate(1.1, 1.1))))
    lines = [
        draw.choice(ACTIONS).format(part=draw.choice(DEVICES[device]), device=device, n=draw.randint(2, 40))
        for _ in range(steps)
    ]
    lines.append(ENDING.format(device=device, fault=fault, n=draw.randint(100, 999)))
    answer = "\n".join(f"{i}. {line}" for i, line in enumerate(lines, 1))
    return {
        "messages": [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": f"Our {device} {fault}. What shall I do?"},
            {"role": "assistant", "content": answer},
        ]
    }


def main(folder: Path) -> None:
    draw = random.Random(SEED)
    for name, rows in (("train", 48), ("validation", 16)):
        with (folder / f"{name}.jsonl").open("w", encoding="utf-8") as file:
            for _ in range(rows):
                file.write(json.dumps(chat(draw), ensure_ascii=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(Path(__file__).parent)
