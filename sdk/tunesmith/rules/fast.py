# pyright: standard, reportMissingImports=false
# Copied from core/rows/fast.py by sdk/tools/copy_core.py: change it there.
"""The fast path: rows as most are, decoded and checked in one go.

It accepts nothing that `tunesmith.rules.chat` would refuse, and reads it as that does; what it does not know it leaves to it.
"""

from typing import Literal

import msgspec


class PlainMessage(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A message of text. It has what `tunesmith.rules.chat.Message` has."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str
    weight: Literal[0, 1] | None = None
    name: str | None = None

    @property
    def trained(self) -> bool:
        return self.role == "assistant" and self.weight != 0

    @property
    def tool_calls(self) -> None:
        return None


class PlainChat(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    messages: list[PlainMessage]


_decoder = msgspec.json.Decoder(PlainChat)


def plain_messages(line: bytes) -> list[PlainMessage] | None:
    """The messages of a row that is valid; None where only the careful path can tell."""
    try:
        messages = _decoder.decode(line).messages
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    learnt = False
    for message in messages:
        if message.role == "assistant":
            if message.weight != 0:
                if not message.content or message.content.isspace():
                    return None
                learnt = True
        elif message.weight is not None:
            return None
    return messages if learnt else None
