# pyright: standard, reportMissingImports=false
# Copied from core/rows/fast.py by sdk/tools/copy_core.py: change it there.
"""The fast path: rows as most are, decoded and checked in one go.

It accepts nothing that `tunesmith.rules.chat` would refuse, and reads it as that does; what it does not know it leaves to it.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, ClassVar, Literal, NamedTuple, cast

import msgspec

from tunesmith.rules import tools
from tunesmith.rules.chat import AnyMessage, Kind
from tunesmith.rules.error import RowError
from tunesmith.rules.features import offer

LONGEST_TOOLS = 16 * 1024  # bytes; longer ones are not kept, and take the careful path
UNNUMBERED = 0  # no fault of this path is ever shown
NO_TOOLS = msgspec.Raw(b"null")


class TextPart(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    type: Literal["text"]
    text: str


class Said(msgspec.Struct, forbid_unknown_fields=True, gc=False, tag_field="role"):
    """A message that is read like `tunesmith.rules.chat.Message`; its content is text once `plain_chat` has answered.

    The decoder chooses the class by the role, and with it the keys that the role may have.
    """

    role: ClassVar[str]
    trained: ClassVar[bool] = False
    content: str | list[TextPart]
    name: str | None = None
    weight: None = None
    tool_calls: None = None
    tool_call_id: None = None


class System(Said, tag="system"):
    role: ClassVar[str] = "system"


class Developer(System, tag="developer"):
    pass


class User(Said, tag="user"):
    role: ClassVar[str] = "user"


class Result(msgspec.Struct, forbid_unknown_fields=True, gc=False, tag_field="role", tag="tool"):
    role: ClassVar[str] = "tool"
    trained: ClassVar[bool] = False
    content: str | list[TextPart]
    tool_call_id: str
    name: str | None = None
    weight: None = None
    tool_calls: None = None


class Assistant(msgspec.Struct, forbid_unknown_fields=True, gc=False, tag_field="role", tag="assistant"):
    role: ClassVar[str] = "assistant"
    content: str | list[TextPart] | None = None
    weight: Literal[0, 1] | None = None
    name: str | None = None
    tool_calls: list[tools.Call] | None = None
    tool_call_id: None = None

    @property
    def trained(self) -> bool:
        return self.weight != 0


Message = System | Developer | User | Result | Assistant


class PlainChat(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """tools: as they are written; rows tend to offer the same."""

    messages: list[Message]
    tools: msgspec.Raw = NO_TOOLS
    parallel_tool_calls: bool | None = None


class PromptCompletion(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    prompt: str
    completion: str


class InstructionResponse(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    instruction: str
    response: str


class Offer(NamedTuple):
    """The functions that a row offers: their names, and all of them as `tunesmith.rules.features.offer` writes them."""

    names: frozenset[str]
    text: str


NOTHING = Offer(frozenset(), "")
Row = PlainChat | PromptCompletion | InstructionResponse
ROWS: dict[Kind, type[Row]] = {
    "messages": PlainChat,
    "prompt_completion": PromptCompletion,
    "instruction_response": InstructionResponse,
}
DECODERS = {kind: msgspec.json.Decoder(row) for kind, row in ROWS.items()}
_messages = msgspec.json.Decoder(list[Message])
_arguments = msgspec.json.Decoder(dict[str, Any])
Plain = tuple[Sequence[AnyMessage], str]


def plain_chat(raw: bytes | dict[str, Any], kind: Kind) -> Plain | None:
    """(messages, what they are offered) of a row of that kind that is valid; None where only the careful path can tell.

    Args:
        raw: a line of JSON, or a table's cells.
    """
    try:
        row: Any = DECODERS[kind].decode(raw) if isinstance(raw, bytes) else _from_cells(raw, kind)
        if kind == "messages":
            return _from_messages(row)
        if kind == "prompt_completion":
            return _from_pair(row.prompt, row.completion)
        return _from_pair(row.instruction, row.response)
    except (msgspec.DecodeError, UnicodeError, RecursionError, RowError):
        return None


def _from_cells(cells: dict[str, Any], kind: Kind) -> Row:
    """Structured cells may be JSON text."""
    if isinstance(text := cells.get("messages"), str):
        cells = {**cells, "messages": _messages.decode(text)}
    if isinstance(text := cells.get("tools"), str):
        cells = {**cells, "tools": msgspec.Raw(text.encode())}
    return msgspec.convert(cells, ROWS[kind])


def _from_pair(asked: str, answered: str) -> Plain | None:
    if not answered or answered.isspace():
        return None
    return cast("Sequence[AnyMessage]", (User(asked), Assistant(answered))), ""


def _from_messages(chat: PlainChat) -> Plain | None:
    learnt, called = False, set()
    offered = NOTHING if chat.tools is NO_TOOLS else _offered(bytes(chat.tools))
    for message in chat.messages:
        content = message.content
        if type(content) is not str:
            if content is None and message.tool_calls is None:
                return None
            content = message.content = "".join([part.text for part in cast("list[TextPart]", content or [])])
        if type(message) is Assistant:  # isinstance takes twice as long on msgspec's classes
            if message.tool_calls is not None:
                called.update(_called(message.tool_calls, offered))
            elif message.weight != 0 and (not content or content.isspace()):
                return None
            learnt = learnt or message.weight != 0
        elif message.tool_call_id is not None and message.tool_call_id not in called:
            return None
    return (cast("Sequence[AnyMessage]", chat.messages), offered.text) if learnt else None


def _called(calls: list[tools.Call], offered: Offer) -> list[str]:
    """The calls' ids. Raises what `plain_chat` catches where one is not valid."""
    if not calls:
        raise RowError(UNNUMBERED, "", "no calls")
    for call in calls:
        _arguments.decode(call.function.arguments)
        if offered.names and call.function.name not in offered.names:
            raise RowError(UNNUMBERED, "", "not offered")
    return [call.id for call in calls]


def _offered(written: bytes) -> Offer:
    if len(written) > LONGEST_TOOLS:
        raise RowError(UNNUMBERED, "tools", "too long to be kept")
    return _offered_once(written)


@lru_cache(maxsize=64)
def _offered_once(written: bytes) -> Offer:
    offered = tools.offered(UNNUMBERED, msgspec.json.decode(written))
    return Offer(frozenset(tool["function"]["name"] for tool in offered or ()), offer(offered))
