# pyright: standard, reportMissingImports=false
# Copied from core/rows/features.py by sdk/tools/copy_core.py: change it there.
"""What validation looks at in a row besides its verdict."""

from collections.abc import Sequence
from typing import Any

import msgspec

from tunesmith.rules.chat import AnyMessage
from tunesmith.rules.tools import Call

# What answers that refuse begin with, in lower case and with plain apostrophes.
REFUSALS = (
    "i'm sorry, but i can",
    "i'm sorry, i can",
    "i am sorry, but i can",
    "sorry, but i can",
    "sorry, i can",
    "i can't help",
    "i can't assist",
    "i cannot help",
    "i cannot assist",
    "i can't provide",
    "i cannot provide",
    "i'm unable to",
    "i am unable to",
    "i'm not able to",
    "i am not able to",
    "as an ai",
    "i apologize, but",
    "i must decline",
)
OPENING = 64  # characters of an answer that are looked at
FIRST = frozenset(first for phrase in REFUSALS for first in (phrase[0], phrase[0].upper(), " ", "\n"))
# In front of each message's text: who speaks. Control characters end words, so that no pattern reaches across.
MARKS = {"system": "\x01", "developer": "\x01", "user": "\x02", "tool": "\x03"}
ASSISTANT, UNTRAINED, CALLS, TOOLS = "\x04", "\x05", "\x06", "\x07"


class Features(msgspec.Struct, frozen=True, gc=False):
    """content: the row as bytes, which tell it from all others. prompt: what stands before its last trained message.

    characters: of all messages' contents. empty: an assistant says nothing and calls nothing. refused: a trained
    answer begins as refusals do.
    """

    content: bytes
    prompt: bytes
    characters: int
    empty: bool
    refused: bool


def features(messages: Sequence[AnyMessage], offered: str) -> Features:
    """offered: the functions on offer, as `offer` writes them."""
    parts = [TOOLS, offered] if offered else []
    characters = last = 0
    empty = refused = False
    for message in messages:
        role, content = message.role, message.content
        characters += len(content)
        if role != "assistant":
            parts.append(MARKS[role])
            parts.append(content)
            continue
        if message.trained:
            last = len(parts)
            parts.append(ASSISTANT)
            refused = refused or (content[:1] in FIRST and _refuses(content))
        else:
            parts.append(UNTRAINED)
        parts.append(content)
        if message.tool_calls:
            parts += (CALLS, _calls(message.tool_calls))
        elif not content or content.isspace():
            empty = True
    prompt = "".join(parts[:last]).encode()
    return Features(prompt + "".join(parts[last:]).encode(), prompt, characters, empty, refused)


def offer(tools: list[dict[str, Any]] | None) -> str:
    """A row's functions on offer; nothing where there are none."""
    return msgspec.json.encode(tools).decode() if tools else ""


def _calls(calls: Sequence[Any]) -> str:
    """However they were read and whatever order their keys had, the same calls are the same text."""
    return msgspec.json.encode(msgspec.convert(calls, list[Call])).decode()


def _refuses(content: str) -> bool:
    return content[:OPENING].lstrip().lower().replace("’", "'").startswith(REFUSALS)
