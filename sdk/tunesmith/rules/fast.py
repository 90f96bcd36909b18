# pyright: standard, reportMissingImports=false
# Copied from core/rows/fast.py by sdk/tools/copy_core.py: change it there.
"""The fast path: rows as most are, decoded and checked in one go.

It accepts nothing that `tunesmith.rules.chat` would refuse, and reads it as that does; what it does not know it leaves to it.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal, cast

import msgspec

from tunesmith.rules import tools
from tunesmith.rules.chat import AnyMessage, Kind, match_calls
from tunesmith.rules.error import RowError

LONGEST_TOOLS = 16 * 1024  # bytes; longer ones are not kept, and take the careful path
UNNUMBERED = 0  # no fault of this path is ever shown


class TextPart(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    type: Literal["text"]
    text: str


class PlainMessage(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A message that is read like `tunesmith.rules.chat.Message`; its content is text once `plain_chat` has answered."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[TextPart] | None = None
    weight: Literal[0, 1] | None = None
    name: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None

    @property
    def trained(self) -> bool:
        return self.role == "assistant" and self.weight != 0


class PlainChat(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """tools: as they are written; rows tend to offer the same."""

    messages: list[PlainMessage]
    tools: msgspec.Raw = msgspec.Raw(b"null")
    parallel_tool_calls: bool | None = None


class PromptCompletion(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    prompt: str
    completion: str


class InstructionResponse(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    instruction: str
    response: str


_chat = msgspec.json.Decoder(PlainChat)
_prompt_completion = msgspec.json.Decoder(PromptCompletion)
_instruction_response = msgspec.json.Decoder(InstructionResponse)
Plain = tuple[Sequence[AnyMessage], list[dict[str, Any]] | None]


def plain_chat(line: bytes, kind: Kind) -> Plain | None:
    """(messages, tools) of a row of that kind that is valid; None where only the careful path can tell."""
    try:
        if kind == "messages":
            return _from_messages(_chat.decode(line))
        if kind == "prompt_completion":
            row = _prompt_completion.decode(line)
            return _from_pair(row.prompt, row.completion)
        row = _instruction_response.decode(line)
        return _from_pair(row.instruction, row.response)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, RowError):
        return None


def _from_pair(asked: str, answered: str) -> Plain | None:
    if not answered or answered.isspace():
        return None
    return _read([PlainMessage("user", asked), PlainMessage("assistant", answered)]), None


def _from_messages(chat: PlainChat) -> Plain | None:
    learnt = calling = False
    for message in chat.messages:
        role, calls = message.role, message.tool_calls
        content = message.content
        if not isinstance(content, str):
            if content is None and calls is None:
                return None
            content = message.content = "".join(part.text for part in content or ())
        if role != "assistant":
            if message.weight is not None or calls is not None or (message.tool_call_id is None) == (role == "tool"):
                return None
            calling = calling or role == "tool"
            continue
        if message.tool_call_id is not None:
            return None
        if calls is not None:
            tools.calls(UNNUMBERED, calls, "")
            calling = True
        if message.weight != 0:
            if calls is None and (not content or content.isspace()):
                return None
            learnt = True
    if not learnt:
        return None
    offered = _offered(bytes(chat.tools))
    if calling:
        match_calls(UNNUMBERED, _read(chat.messages), offered)
    return _read(chat.messages), offered


def _read(messages: list[PlainMessage]) -> Sequence[AnyMessage]:
    """The same messages, now that every content is text."""
    return cast("Sequence[AnyMessage]", messages)


def _offered(written: bytes) -> list[dict[str, Any]] | None:
    if len(written) > LONGEST_TOOLS:
        raise RowError(UNNUMBERED, "tools", "too long to be kept")
    return _offered_once(written)


@lru_cache(maxsize=64)
def _offered_once(written: bytes) -> list[dict[str, Any]] | None:
    return tools.offered(UNNUMBERED, msgspec.json.decode(written))
