"""What validation looks at in a row besides its verdict."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import msgspec
import xxhash

from core.rows.chat import AnyMessage, Message
from core.rows.feedback import Feedback
from core.rows.kinds import Row
from core.rows.prompt import ASKED, Prompt
from core.rows.ranking import Ranking
from core.rows.text import Text
from core.rows.tools import Call

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
USER = "\x02"
MARKS = {"system": "\x01", "developer": "\x01", "user": USER, "tool": "\x03"}
ASSISTANT, UNTRAINED, CALLS = "\x04", "\x05", "\x06"
DISLIKED = b"\x07"  # behind all messages of a row whose label is false
_arguments = msgspec.json.Decoder(dict[str, Any])


class Features(msgspec.Struct, frozen=True, gc=False):
    """content: what is said in the row, as bytes. prompt: what of it stands before its last trained message.

    seed: stands for the functions on offer; with it the content tells the row from all others. characters: of all
    messages' contents. empty: an assistant says nothing and calls nothing. refused: a trained answer begins as refusals
    do.
    """

    content: bytes
    prompt: bytes
    seed: int
    characters: int
    empty: bool
    refused: bool


class Offer(NamedTuple):
    """The functions that a row offers: their names, and a digest of all of them."""

    names: frozenset[str]
    digest: int


NOTHING = Offer(frozenset(), 0)


def offer(tools: list[dict[str, Any]] | None) -> Offer:
    if not tools:
        return NOTHING
    digest = xxhash.xxh3_64_intdigest(msgspec.json.encode(tools))
    return Offer(frozenset(tool["function"]["name"] for tool in tools), digest)


def row_features(row: Row) -> Features:
    """Those of a row that was read. An answer that another is preferred to follows it, as one that is not learnt.

    The same answer, liked and disliked, makes two rows, and so do other ranks and margins.
    """
    if isinstance(row, Text):
        return text_features(row.text)
    if isinstance(row, Prompt):
        return _prompt_features(row)
    chat, *others = row.chats
    answers = [replace(other.messages[-1], trained=False) for other in others]
    found = features([*chat.messages, *answers], offer(chat.tools))
    assert found is not None
    if isinstance(row, Feedback) and not row.label:
        return msgspec.structs.replace(found, content=found.content + DISLIKED)
    if isinstance(row, Ranking):
        compared = f"\x07{row.ranks}{row.margin}".encode()
        return msgspec.structs.replace(found, content=found.content + compared)
    return found


def _prompt_features(prompt: Prompt) -> Features:
    """What a row tells graders stands in the place of an answer: with other values it is another row."""
    told = {key: value for key, value in prompt.item.items() if key not in ASKED}
    text = msgspec.json.encode(told, order="deterministic").decode()
    found = features([*prompt.messages, Message("assistant", text, trained=True)], offer(prompt.tools))
    assert found is not None
    return msgspec.structs.replace(found, characters=found.characters - len(text))


def text_features(text: str) -> Features:
    """Of a document, which has no prompt: two share one where they are the same."""
    content = text.encode()
    return Features(content, content, 0, len(text), False, False)


def features(messages: Sequence[AnyMessage], offered: Offer) -> Features | None:
    """None where the messages, each of them well-formed, break a rule of `core.rows.chat`.

    Rules and features are seen to in one loop: short rows cost what their messages cost.

    Raises:
        msgspec.DecodeError: a call breaks one.
    """
    parts: list[str] = []
    characters, last, empty, refused, called = 0, None, False, False, set()
    for message in messages:
        role, content = message.role, message.content
        if type(content) is not str:
            if content is None and message.tool_calls is None:
                return None
            content = "".join([part.text for part in content or ()])
        characters += len(content)
        if role != "assistant":
            if role == "tool" and message.tool_call_id not in called:
                return None
            parts += (MARKS[role], content)  # not joined here: a content may be megabytes
            continue
        calls, trained = message.tool_calls, message.trained
        silent = calls is None and (not content or content.isspace())
        empty = empty or silent
        if trained:
            if silent:
                return None
            last = len(parts)
            refused = refused or _refuses(content)
        parts += (ASSISTANT if trained else UNTRAINED, content)
        if calls is not None:
            calls = _calls(calls, offered)
            called.update([call.id for call in calls])
            parts += (CALLS, _json(calls))
    if last is None:
        return None
    prompt = "".join(parts[:last]).encode()
    return Features(prompt + "".join(parts[last:]).encode(), prompt, offered.digest, characters, empty, refused)


def pair_features(asked: str, answered: str) -> Features | None:
    """What `features` finds in a user's message and an answer, at half the cost."""
    if not answered or answered.isspace():
        return None
    prompt = f"{USER}{asked}".encode()
    refused = answered[0] in FIRST and _refuses(answered)
    characters = len(asked) + len(answered)
    return Features(prompt + f"{ASSISTANT}{answered}".encode(), prompt, 0, characters, False, refused)


def _calls(calls: Sequence[Any], offered: Offer) -> list[Call]:
    """However they were read and whatever order their keys had, the same calls are the same."""
    made = [call if type(call) is Call else msgspec.convert(call, Call) for call in calls]
    if not made:
        raise msgspec.ValidationError("no calls")
    for call in made:
        _arguments.decode(call.function.arguments)
        if offered.names and call.function.name not in offered.names:
            raise msgspec.ValidationError("a function that is not offered")
    return made


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _refuses(content: str) -> bool:
    return content[:1] in FIRST and content[:OPENING].lstrip().lower().replace("’", "'").startswith(REFUSALS)
