"""The fast path: rows as most are, decoded and checked in one go.

It accepts nothing that `core.rows.chat` would refuse, and reads it as that does; what it does not know it leaves to it.
"""

from functools import lru_cache
from typing import Any, ClassVar, Literal

import msgspec

from core.rows import tools
from core.rows.chat import PAIRS, REASONING, is_thought, thought
from core.rows.csvfile import Table
from core.rows.error import RowError
from core.rows.features import NOTHING, Features, Offer, features, offer, pair_features, text_features
from core.rows.jsonl import LONGEST_LINE, Lines
from core.rows.kinds import Kind
from core.rows.text import TEXT_KEY

LONGEST_TOOLS = 16 * 1024  # bytes; longer ones are not kept, and take the careful path
UNNUMBERED = 0  # no fault of this path is ever shown
NO_TOOLS = msgspec.Raw(b"null")


class TextPart(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    type: Literal["text"]
    text: str


class Said(msgspec.Struct, forbid_unknown_fields=True, gc=False, tag_field="role"):
    """A message that is read like `core.rows.chat.Message`, but that its content may be in parts.

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


NOT_PLAIN = (msgspec.DecodeError, UnicodeError, RecursionError, RowError)
KEYS: dict[Kind, tuple[str, ...]] = {**PAIRS, "reasoning": REASONING, "text": (TEXT_KEY,)}
_chat = msgspec.json.Decoder(PlainChat)
_messages = msgspec.json.Decoder(list[Message])
_texts = msgspec.json.Decoder(dict[str, str])


def plain_row(raw: bytes | dict[str, Any], kind: Kind) -> Features | None:
    """The features of a row of that kind that is valid; None where only the careful path can tell.

    Args:
        raw: a line of JSON, or a table's cells.
    """
    try:
        if kind == "messages":
            return _of_chat(_chat.decode(raw) if isinstance(raw, bytes) else _from_cells(raw))
        if kind in KEYS:
            return _of_keys(_texts.decode(raw) if isinstance(raw, bytes) else raw, KEYS[kind])
    except NOT_PLAIN:
        pass
    return None


def plain_rows(block: Lines | Table, kind: Kind) -> list[Features] | None:
    """What `plain_row` makes of each row of the block, at less than its cost; None where it can't be said of all."""
    try:
        found = _of_lines(block, kind) if isinstance(block, Lines) else _of_table(block, kind)
    except NOT_PLAIN:
        return None
    plain = [row for row in found if row is not None]
    return plain if len(plain) == len(found) == block.count else None  # two on one line could make up for a bad row


def _of_lines(lines: Lines, kind: Kind) -> list[Features | None]:
    if not lines.one_object_each() or len(lines.data) > LONGEST_LINE:
        return []
    if kind == "messages":
        return [_of_chat(chat) for chat in _chat.decode_lines(lines.data)]
    return [_of_keys(texts, KEYS[kind]) for texts in _texts.decode_lines(lines.data)] if kind in KEYS else []


def _of_table(table: Table, kind: Kind) -> list[Features | None]:
    if kind not in KEYS or set(table.header) != set(KEYS[kind]):
        return []
    places = [table.header.index(key) for key in KEYS[kind]]
    return [_of_texts(*[cells[place] for place in places]) for cells in table.rows]


def _of_keys(texts: dict[str, Any], keys: tuple[str, ...]) -> Features | None:
    if len(texts) != len(keys) or not all([type(texts.get(key)) is str for key in keys]):
        return None
    return _of_texts(*[texts[key] for key in keys])


def _of_chat(chat: PlainChat) -> Features | None:
    messages: Any = chat.messages  # its classes say their role as classes, which no protocol can say
    if chat.tools is not NO_TOOLS:
        return features(messages, _offered(bytes(chat.tools)))
    # The rows of many files are a text and a text that answers it; the shortest way for them.
    if len(messages) == 2 and type(messages[0]) is User and type(messages[1]) is Assistant:
        asked, answer = messages[0], messages[1]
        if type(asked.content) is type(answer.content) is str and answer.trained and answer.tool_calls is None:
            return pair_features(asked.content, answer.content)
    return features(messages, NOTHING)


def _of_texts(asked: str, *answered: str) -> Features | None:
    if not answered:
        return text_features(asked) if asked and not asked.isspace() else None
    if len(answered) == 1:
        return pair_features(asked, answered[0])
    return pair_features(asked, thought(*answered)) if all(map(is_thought, answered)) else None


def _from_cells(cells: dict[str, Any]) -> PlainChat:
    """Structured cells may be JSON text."""
    if isinstance(text := cells.get("messages"), str):
        cells = {**cells, "messages": _messages.decode(text)}
    if isinstance(text := cells.get("tools"), str):
        cells = {**cells, "tools": msgspec.Raw(text.encode())}
    return msgspec.convert(cells, PlainChat)


def _offered(written: bytes) -> Offer:
    if len(written) > LONGEST_TOOLS:
        raise RowError(UNNUMBERED, "tools", "too long to be kept")
    return _offered_once(written)


@lru_cache(maxsize=64)
def _offered_once(written: bytes) -> Offer:
    return offer(tools.offered(UNNUMBERED, msgspec.json.decode(written)))
