"""What validation looks at in a row besides its verdict."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

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
# In front of each message's text: who speaks. Control characters end words, so that no pattern reaches across.
MARKS = {"system": "\x01", "developer": "\x01", "user": "\x02", "assistant": "\x03", "tool": "\x04"}
UNTRAINED, CALLS, TOOLS = "\x05", "\x06", "\x07"


class AnyMessage(Protocol):
    """A message of either path."""

    @property
    def role(self) -> str: ...
    @property
    def content(self) -> str: ...
    @property
    def trained(self) -> bool: ...
    @property
    def tool_calls(self) -> list[dict[str, Any]] | None: ...


class Features(NamedTuple):
    """prompt, answer: the row as bytes, cut before its last trained message; together they tell it from all others.

    characters: of all messages' contents. empty: an assistant says nothing and calls nothing. refused: a trained
    answer begins as refusals do.
    """

    prompt: bytes
    answer: bytes
    characters: int
    empty: bool
    refused: bool


def features(messages: Sequence[AnyMessage], tools: list[dict[str, Any]] | None) -> Features:
    parts = [TOOLS, msgspec.json.encode(tools).decode()] if tools else []
    characters = last = 0
    empty = refused = False
    for message in messages:
        content, mark = message.content, MARKS[message.role]
        characters += len(content)
        if mark == "\x03":
            if message.trained:
                last = len(parts)
                refused = refused or _refuses(content)
            else:
                mark = UNTRAINED
            if not content or content.isspace():
                empty = empty or not message.tool_calls
        parts.append(mark)
        parts.append(content)
        if message.tool_calls:
            parts.append(CALLS)
            parts.append(msgspec.json.encode(message.tool_calls).decode())
    prompt, answer = "".join(parts[:last]), "".join(parts[last:])
    return Features(prompt.encode(), answer.encode(), characters, empty, refused)


def _refuses(content: str) -> bool:
    return content[:OPENING].lstrip().lower().replace("’", "'").startswith(REFUSALS)
