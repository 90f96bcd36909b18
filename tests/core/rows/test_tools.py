"""Rows in which an assistant calls functions."""

import copy
import json
from typing import Any

import pytest

from core.rows.chat import to_chat
from core.rows.error import RowError

CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}, "strict": True}}
ROW: dict[str, Any] = {
    "messages": [
        {"role": "user", "content": "Is it cold?"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "-4"},
        {"role": "assistant", "content": "Yes"},
    ],
    "tools": [TOOL],
    "parallel_tool_calls": False,
}


def test_calls_tools_and_answers_are_kept_as_they_are() -> None:
    chat = to_chat(1, copy.deepcopy(ROW))
    assert chat.tools == [TOOL]
    assert (chat.messages[1].content, chat.messages[1].tool_calls, chat.messages[1].trained) == ("", [CALL], True)
    assert (chat.messages[2].role, chat.messages[2].tool_call_id, chat.messages[2].trained) == ("tool", "call_1", False)


def test_a_row_that_offers_nothing_has_no_tools() -> None:
    for nothing in ({}, {"tools": []}, {"tools": None}):
        assert to_chat(1, {"messages": ROW["messages"], **nothing}).tools is None


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("messages.1.tool_calls", [], "messages[1].tool_calls: a list of at least one call is needed, not an empty"),
        ("messages.1.tool_calls.0.id", 7, "messages[1].tool_calls[0].id: a string is needed, not a number"),
        ("messages.1.tool_calls.0.type", "x", "messages[1].tool_calls[0].type: 'x' is not one of function"),
        ("messages.1.tool_calls.0.function.name", "a b", "function.name: 'a b': 1 to 64 of the characters"),
        ("messages.1.tool_calls.0.function.name", "rain", "tool_calls[0].function.name: 'rain' is not in tools"),
        ("messages.1.tool_calls.0.function.arguments", "{", "function.arguments: is not valid JSON"),
        ("messages.1.tool_calls.0.function.arguments", "[1]", "the text of a JSON object is needed, not of a list"),
        ("messages.0.tool_calls", [CALL], "messages[0].tool_calls: on assistant messages only"),
        ("messages.2.tool_call_id", "call_2", "messages[2].tool_call_id: 'call_2' answers no earlier call"),
        ("messages.2.tool_call_id", None, "messages[2].tool_call_id: needed on tool messages"),
        ("messages.0.tool_call_id", "call_1", "messages[0].tool_call_id: needed on tool messages, and on them only"),
        ("messages.3.content", None, "messages[3].content: a string is needed, not nothing"),
        ("tools", {}, "tools: a list of functions is needed, not an object"),
        ("tools", [TOOL] * 129, "tools: 129 functions; at most 128 are allowed"),
        ("tools.0.function.parameters", "x", "tools[0].function.parameters: a JSON schema is needed, not a string"),
        ("tools.0.function.strict", 1, "tools[0].function.strict: true or false is needed, not a number"),
        ("tools.0.function.lable", 1, "tools[0].function.lable: unknown key; allowed here: name, description"),
    ],
)
def test_faults_say_where_and_what(path: str, value: Any, words: str) -> None:
    row = json.loads(json.dumps(ROW))
    *parents, last = path.split(".")
    at: Any = row
    for key in parents:
        at = at[int(key)] if isinstance(at, list) else at[key]
    at[last] = value
    with pytest.raises(RowError) as caught:
        to_chat(3, row)
    assert words in str(caught.value)
