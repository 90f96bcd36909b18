# pyright: standard
# Copied from core/rows/chat.py by sdk/tools/copy_core.py: change it there.
"""Chats, the rows of supervised fine-tuning: `{"messages": […]}` or `{"prompt": …, "completion": …}`."""

from dataclasses import dataclass
from typing import Any

import msgspec

from tunesmith.rules.error import RowError

ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
NOT_YET = ("tools", "functions", "parallel_tool_calls")
MESSAGE_NOT_YET = ("tool_calls", "function_call", "tool_call_id", "name", "refusal", "audio")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Message:
    """`trained`: the loss is taken on its tokens. Only assistants' messages are, unless their weight is 0.

    tool_calls: as in the contract, of an assistant that calls functions; its content may then be empty.
    tool_call_id: of a message with the role `tool`, the call that it answers.
    """

    role: str
    content: str
    trained: bool = False
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None


@dataclass(frozen=True)
class Chat:
    """At least one of the messages is trained. tools: the functions on offer, as in the contract."""

    messages: list[Message]
    tools: list[dict[str, Any]] | None = None


def parse_chat(number: int, line: bytes) -> Chat:
    """One line, whichever of the two forms it has.

    Raises:
        RowError: the line is not such a row.
    """
    row = _object(number, line)
    if "messages" in row:
        _only_keys(number, row, allowed=("messages",))
        return Chat(_messages(number, row["messages"]))
    if "prompt" in row or "completion" in row:
        _only_keys(number, row, allowed=("prompt", "completion"))
        prompt, completion = (_text(number, row.get(key), key) for key in ("prompt", "completion"))
        if not completion.strip():
            raise RowError(number, "completion", "is empty: there is nothing to learn")
        return Chat([Message("user", prompt), Message("assistant", completion, trained=True)])
    raise RowError(number, "", f"has neither 'messages' nor 'prompt' and 'completion', but {_keys(row)}")


def _object(number: int, line: bytes) -> dict[str, Any]:
    try:
        row = msgspec.json.decode(line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line)
    except UnicodeDecodeError:
        raise RowError(number, "", "not valid UTF-8") from None
    except (msgspec.DecodeError, RecursionError) as error:
        if not line.endswith(b"\n"):
            raise RowError(number, "", "the last line is cut off: it is no valid JSON and has no newline") from None
        raise RowError(number, "", f"not valid JSON ({error})") from None
    if not isinstance(row, dict):
        raise RowError(number, "", f"a JSON object is needed, not {_kind(row)}")
    return row


def _only_keys(number: int, row: dict[str, Any], *, allowed: tuple[str, ...]) -> None:
    for key in row:
        if key in NOT_YET:
            raise RowError(number, key, "tools are not supported yet")
        if key not in allowed:
            raise RowError(number, key, f"unknown key; allowed here: {', '.join(allowed)}")


def _messages(number: int, value: Any) -> list[Message]:
    if not isinstance(value, list) or not value:
        raise RowError(number, "messages", f"a list of at least one message is needed, not {_kind(value)}")
    messages = [_message(number, item, f"messages[{i}]") for i, item in enumerate(value)]
    if not any(message.trained for message in messages):
        raise RowError(number, "messages", "no assistant message to learn from (none, or all have weight 0)")
    return messages


def _message(number: int, value: Any, field: str) -> Message:
    if not isinstance(value, dict):
        raise RowError(number, field, f"an object with role and content is needed, not {_kind(value)}")
    for key in value:
        if key in MESSAGE_NOT_YET and value[key] is not None:
            raise RowError(number, f"{field}.{key}", "is not supported yet")
        if key not in ("role", "content", "weight", *MESSAGE_NOT_YET):
            raise RowError(number, f"{field}.{key}", "unknown key; allowed here: role, content, weight")
    role = value.get("role")
    if not isinstance(role, str) or role not in ROLES:
        raise RowError(number, f"{field}.role", f"{role!r} is not one of {', '.join(ROLES)}")
    weight = value.get("weight")
    if weight is not None and (role != "assistant" or isinstance(weight, bool) or weight not in (0, 1)):
        raise RowError(number, f"{field}.weight", "0 or 1, and on assistant messages only")
    content = _text(number, value.get("content"), f"{field}.content")
    trained = role == "assistant" and weight != 0
    if trained and not content.strip():
        raise RowError(number, f"{field}.content", "is empty: give it weight 0, or leave the message out")
    return Message(ROLES[role], content, trained)


def _text(number: int, value: Any, field: str) -> str:
    if not isinstance(value, str):
        raise RowError(number, field, f"a string is needed, not {_kind(value)}")
    return value


def _keys(row: dict[str, Any]) -> str:
    return ", ".join(repr(key) for key in list(row)[:5]) or "no keys at all"


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    if value == [] and isinstance(value, list):
        return "an empty list"
    return "nothing" if value is None else names[type(value)]
