import json
import random
from collections.abc import Iterable
from typing import Any


def upper_case(count: int, *, seed: int) -> bytes:
    """Chats that ask for a word in capitals: a tiny model learns the alphabet of the answers in seconds."""
    return _lines({"messages": [_user(word), _assistant(word.upper())]} for word in _words(count, seed=seed))


def upper_case_preferred(count: int, *, seed: int) -> bytes:
    """Pairs of answers to a word: in capitals, which is preferred, and as it was."""
    return _lines(
        {
            "input": {"messages": [_user(word)]},
            "preferred_output": [_assistant(word.upper())],
            "non_preferred_output": [_assistant(word)],
        }
        for word in _words(count, seed=seed)
    )


def upper_case_liked(count: int, *, seed: int) -> bytes:
    """Answers to a word: in capitals, which is liked, or as it was."""
    return _lines(
        {"prompt": word, "completion": word.upper() if i % 2 else word, "label": bool(i % 2)}
        for i, word in enumerate(_words(count, seed=seed))
    )


def upper_case_asked(count: int, *, seed: int) -> bytes:
    """Words that wait for an answer, and what it should be."""
    return _lines({"messages": [_user(word)], "answer": word.upper()} for word in _words(count, seed=seed))


def upper_case_texts(count: int, *, seed: int) -> bytes:
    """Documents of a word and its capitals."""
    return _lines({"text": f"{word} {word.upper()}"} for word in _words(count, seed=seed))


def _words(count: int, *, seed: int) -> list[str]:
    draw = random.Random(seed)
    return ["".join(draw.choice("abcd") for _ in range(draw.randint(4, 12))) for _ in range(count)]


def _user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def _assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def _lines(rows: Iterable[dict[str, Any]]) -> bytes:
    return ("\n".join(json.dumps(row) for row in rows) + "\n").encode()
