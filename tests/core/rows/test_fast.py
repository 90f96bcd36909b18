"""The fast path and the careful one: what the fast one accepts, the careful one accepts too, and reads alike."""

import copy
import json
from typing import Any, get_args

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.rows.cells import STRUCTURED, to_row
from core.rows.chat import (
    PAIRS,
    REASONING,
    Chat,
    ChatKind,
    Message,
    _checked_message,
    _plain_message,
    chat_kind,
    to_chat,
)
from core.rows.csvfile import Table
from core.rows.error import RowError
from core.rows.fast import LONGEST_TOOLS, plain_row, plain_rows
from core.rows.features import ASSISTANT, CALLS, MARKS, UNTRAINED, Features, features, offer
from core.rows.jsonl import Lines, decode

KINDS: tuple[ChatKind, ...] = get_args(ChatKind)
SCALARS = (
    st.none() | st.booleans() | st.integers(-1, 2) | st.sampled_from([0.0, 1.0, 0.5, "", " ", "a", "\0", "ä\u2028"])
)
ROLES = st.sampled_from(["system", "developer", "user", "assistant", "tool", "bot"])
CONTENTS = st.text(max_size=5) | SCALARS | st.just([{"type": "text", "text": "x"}])
GOOD_ANSWER = {"role": "assistant", "content": "b"}
TEXTS = st.text(min_size=1, max_size=5)
PARTS = st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": TEXTS}), min_size=1, max_size=2)
CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
CALLING = [
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "1", "content": "4"},
]
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
GOOD = st.one_of(
    st.fixed_dictionaries({"role": st.sampled_from(["system", "developer", "user"]), "content": TEXTS | PARTS}),
    st.fixed_dictionaries(
        {"role": st.just("assistant"), "content": TEXTS | PARTS}, optional={"weight": st.sampled_from([0, 1, None])}
    ),
)
MESSAGE_KEYS = st.sampled_from(["role", "content", "weight", "name", "tool_calls", "tool_call_id", "lable"])
ROW_KEYS = st.sampled_from(["messages", "tools", "parallel_tool_calls", "lable"])
ODD = st.integers(0, 2) | SCALARS | ROLES | CONTENTS
ODD_CALLS = st.lists(
    st.sampled_from(
        [
            CALL,
            {**CALL, "id": 1},
            {**CALL, "type": "x"},
            {**CALL, "function": {"name": "g", "arguments": "{}"}},
            {**CALL, "function": {"name": "f", "arguments": "[]"}},
            {**CALL, "function": {"name": "f", "arguments": "{"}},
            {**CALL, "function": {"name": "a b", "arguments": "{}"}},
        ]
    ),
    max_size=2,
)


@st.composite
def chats(draw: st.DrawFn) -> dict[str, Any]:
    """Rows that are good but for one oddity: those show which path is too generous."""
    messages = draw(st.lists(GOOD, min_size=1, max_size=3))
    row: dict[str, Any] = {"messages": messages}
    if draw(st.booleans()):
        messages += copy.deepcopy(CALLING)
        row["tools"] = draw(st.none() | st.just(TOOLS) | st.just([]))
    oddity = draw(st.sampled_from(["none", "message", "row", "calls"]))
    if oddity == "message":
        draw(st.sampled_from(messages))[draw(MESSAGE_KEYS)] = draw(ODD)
    elif oddity == "row":
        row[draw(ROW_KEYS)] = draw(ODD | st.just(TOOLS * 2) | st.just([{"type": "function"}]))
    elif oddity == "calls":
        draw(st.sampled_from(messages))["tool_calls"] = draw(ODD_CALLS)
    return row


@st.composite
def pairs(draw: st.DrawFn) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(draw(st.sampled_from([*PAIRS.values(), REASONING])))
    for key in row:
        row[key] = draw(TEXTS | SCALARS | st.just("a </think>"))
    if draw(st.booleans()):
        row[draw(st.sampled_from(["prompt", "response", "lable", "messages", "reasoning"]))] = draw(SCALARS)
    return row


def plain(content: str, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": content, **more}]}


@settings(max_examples=1000, deadline=None, derandomize=True)
@given(row=chats() | pairs(), ascii_only=st.booleans())
@example(row=plain("x", weight=1), ascii_only=True)
@example(row=plain("x", weight=2), ascii_only=True)
@example(row={"messages": [{"role": "user", "content": "a", "weight": 1}, GOOD_ANSWER]}, ascii_only=True)
@example(row=plain("\u2003\x1f"), ascii_only=True)
@example(row=plain("", tool_calls=[CALL]), ascii_only=True)
@example(row={"messages": [CALLING[1], GOOD_ANSWER]}, ascii_only=True)
@example(row={"messages": [CALLING[1], *CALLING]}, ascii_only=True)
def test_both_paths_agree(row: dict[str, Any], ascii_only: bool) -> None:
    line = json.dumps(row, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass") + b"\n"
    for kind in KINDS:
        fast = plain_row(line, kind)
        if fast is not None:
            assert chat_kind(1, row) == kind
            agree(fast, to_chat(1, decode(1, line)))


@settings(max_examples=1000, deadline=None, derandomize=True)
@given(row=chats() | pairs(), as_text=st.sets(st.sampled_from(STRUCTURED)))
def test_both_paths_agree_on_cells(row: dict[str, Any], as_text: set[str]) -> None:
    """A table's cells, in which nulls are absent and structured values may be JSON text."""
    cells = {key: json.dumps(value) if key in as_text else value for key, value in row.items()}
    for kind in KINDS:
        fast = plain_row(copy.deepcopy(cells), kind)
        if fast is not None:
            assert chat_kind(1, to_row(1, cells)) == kind
            agree(fast, to_chat(1, to_row(1, cells)))


def agree(fast: Features, chat: Chat) -> None:
    """What a row's messages say, who says it, what is learnt, what is called is in its bytes; tools are in the seed."""
    assert fast == features(chat.messages, offer(chat.tools))
    said = [part for message in chat.messages for part in (mark(message), message.content, calls(message))]
    assert fast.content.decode() == "".join(said)
    assert (fast.seed != 0) == bool(chat.tools)
    assert fast.characters == sum(len(message.content) for message in chat.messages)


def mark(message: Message) -> str:
    assistant = ASSISTANT if message.trained else UNTRAINED
    return assistant if message.role == "assistant" else MARKS[message.role]


def calls(message: Message) -> str:
    return CALLS + msgspec.json.encode(message.tool_calls).decode() if message.tool_calls else ""


@settings(max_examples=300, deadline=None, derandomize=True)
@given(row=chats() | pairs())
def test_ordinary_rows_take_the_fast_path(row: dict[str, Any]) -> None:
    """What the careful path accepts and the fast one does not is a weight that is written as 1.0."""
    line = json.dumps(row).encode()
    try:
        to_chat(1, decode(1, line))
    except RowError:
        return
    if any(isinstance(message.get("weight"), float) for message in row.get("messages", [])):
        return
    kind = chat_kind(1, row)
    assert plain_row(line, kind) is not None
    cells = {key: json.dumps(value) if key == "tools" else value for key, value in row.items()}
    assert plain_row(cells, kind) is not None


def test_keys_that_come_twice_are_read_alike() -> None:
    line = b'{"messages":[{"role":"assistant","content":"","content":"b","weight":0,"weight":1}]}\n'
    fast = plain_row(line, "messages")
    assert fast is not None
    agree(fast, to_chat(1, decode(1, line)))
    assert fast.characters == 1


def test_a_role_that_comes_twice_is_left_to_the_careful_path() -> None:
    line = b'{"messages":[{"role":"user","role":"assistant","content":"b"}]}\n'
    assert plain_row(line, "messages") is None
    assert to_chat(1, decode(1, line)).messages[0].trained


def test_tools_too_long_to_be_kept_are_left_to_the_careful_path() -> None:
    tools = [{"type": "function", "function": {"name": "f", "description": "x" * LONGEST_TOOLS}}]
    assert plain_row(json.dumps({**plain("x"), "tools": tools}).encode(), "messages") is None


@settings(max_examples=500, deadline=None, derandomize=True)
@given(chats())
def test_plain_messages_are_read_as_all_others(row: dict[str, Any]) -> None:
    for value in row["messages"] if isinstance(row["messages"], list) else []:
        plain = _plain_message(value)
        if plain is not None:
            assert plain == _checked_message(1, value, "messages[0]")


LINES = st.sampled_from(
    [
        *(json.dumps(plain(text)).encode() for text in ("one", "two")),
        json.dumps(plain("odd", weight=2)).encode(),
        json.dumps({"prompt": "a", "completion": "b"}).encode(),
        json.dumps({"prompt": "a", "completion": ""}).encode(),
        b'{"prompt": "a",\n"completion": "b"}',
        b'{"prompt": "a"\n, "completion": "b"}',
        b'{"prompt": "}\n{", "completion": "b"}',
        b'{"prompt": "a", "completion": "b"} {"prompt": "a", "completion": "b"}',
        b'{"prompt": "a", "completion": "b"}{"prompt": "a", "completion": "b"}',
        b"{}",
        b"",
        b"  ",
    ]
)


@settings(max_examples=2000, deadline=None, derandomize=True)
@given(pieces=st.lists(LINES, min_size=1, max_size=4), newline=st.sampled_from([b"\n", b"\r\n"]), ends=st.booleans())
def test_lines_at_once_are_what_they_are_one_by_one(pieces: list[bytes], newline: bytes, ends: bool) -> None:
    data = newline.join(pieces) + newline * ends
    lines = Lines(1, data, len(data.split(b"\n")) - data.endswith(b"\n"))
    for kind in KINDS:
        found = plain_rows(lines, kind)
        if found is not None:
            assert found == [plain_row(line, kind) for _, line in lines]


def test_rows_that_are_plain_are_read_at_once() -> None:
    for newline in (b"\n", b"\r\n"):
        data = (json.dumps(plain("one")).encode() + newline) * 3
        assert plain_rows(Lines(1, data, 3), "messages") == [
            plain_row(line, "messages") for _, line in Lines(1, data, 3)
        ]
    table = Table(2, ["completion", "prompt"], [["b", "a"], ["d", "c"]])
    assert plain_rows(table, "prompt_completion") == [plain_row(row, "prompt_completion") for _, row in table]
    assert plain_rows(table, "instruction_response") is None
    assert plain_rows(Table(2, ["completion", "prompt"], [["b", "a"], ["", "c"]]), "prompt_completion") is None
