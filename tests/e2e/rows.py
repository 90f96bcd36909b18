import json
import random


def upper_case(count: int, *, seed: int) -> bytes:
    """Chats that ask for a word in capitals: a tiny model learns the alphabet of the answers in seconds."""
    draw = random.Random(seed)
    lines: list[str] = []
    for _ in range(count):
        word = "".join(draw.choice("abcd") for _ in range(draw.randint(4, 12)))
        messages = [{"role": "user", "content": word}, {"role": "assistant", "content": word.upper()}]
        lines.append(json.dumps({"messages": messages}))
    return ("\n".join(lines) + "\n").encode()
