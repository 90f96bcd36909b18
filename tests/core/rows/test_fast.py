"""The fast path and the careful one: what the fast one accepts, the careful one accepts too, and reads alike."""

import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.rows.chat import to_chat
from core.rows.error import RowError
from core.rows.fast import plain_messages
from core.rows.features import features
from core.rows.jsonl import decode

SCALARS = (
    st.none() | st.booleans() | st.integers(-1, 2) | st.sampled_from([0.0, 1.0, 0.5, "", " ", "a", "\0", "ä\u2028"])
)
ROLES = st.sampled_from(["system", "developer", "user", "assistant", "tool", "bot"])
CONTENTS = st.text(max_size=5) | SCALARS | st.just([{"type": "text", "text": "x"}])
GOOD_ANSWER = {"role": "assistant", "content": "b"}
TEXTS = st.text(min_size=1, max_size=5)
GOOD = st.one_of(
    st.fixed_dictionaries({"role": st.sampled_from(["system", "developer", "user"]), "content": TEXTS}),
    st.fixed_dictionaries(
        {"role": st.just("assistant"), "content": TEXTS}, optional={"weight": st.sampled_from([0, 1, None])}
    ),
)
MESSAGE_KEYS = st.sampled_from(["role", "content", "weight", "name", "tool_calls", "tool_call_id", "lable"])
ROW_KEYS = st.sampled_from(["messages", "tools", "parallel_tool_calls", "lable"])


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    """Rows that are good but for one oddity: those show which path is too generous."""
    messages = draw(st.lists(GOOD, min_size=1, max_size=3))
    row: dict[str, Any] = {"messages": messages}
    if draw(st.booleans()):
        draw(st.sampled_from(messages))[draw(MESSAGE_KEYS)] = draw(st.integers(0, 2) | SCALARS | ROLES | CONTENTS)
    elif draw(st.booleans()):
        row[draw(ROW_KEYS)] = draw(SCALARS)
    return row


def plain(content: str, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": content, **more}]}


@settings(max_examples=1500, deadline=None, derandomize=True)
@given(row=rows(), ascii_only=st.booleans())
@example(row=plain("x", weight=1), ascii_only=True)
@example(row=plain("x", weight=2), ascii_only=True)
@example(row={"messages": [{"role": "user", "content": "a", "weight": 1}, GOOD_ANSWER]}, ascii_only=True)
@example(row=plain("\u2003\x1f"), ascii_only=True)
def test_both_paths_agree(row: dict[str, Any], ascii_only: bool) -> None:
    line = json.dumps(row, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass") + b"\n"
    fast = plain_messages(line)
    if fast is None:
        return
    chat = to_chat(1, decode(1, line))
    assert [(m.role, m.content, m.trained) for m in chat.messages] == [
        ("system" if m.role == "developer" else m.role, m.content, m.trained) for m in fast
    ]
    assert features(fast, None) == features(chat.messages, chat.tools)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    contents=st.lists(st.text(min_size=1).filter(str.strip), min_size=1, max_size=4),
    weights=st.lists(st.integers(0, 1)),
)
def test_ordinary_rows_take_the_fast_path(contents: list[str], weights: list[int]) -> None:
    messages = [{"role": "assistant", "content": content} for content in contents]
    for message, weight in zip(messages[1:], weights, strict=False):
        message["weight"] = weight
    line = json.dumps({"messages": messages}).encode()
    try:
        to_chat(1, decode(1, line))
    except RowError:
        assert plain_messages(line) is None  # a surrogate without its half
    else:
        assert plain_messages(line) is not None


def test_keys_that_come_twice_are_read_alike() -> None:
    line = b'{"messages":[{"role":"user","role":"assistant","content":"","content":"b","weight":0,"weight":1}]}\n'
    fast = plain_messages(line)
    assert fast is not None
    assert [(m.role, m.content, m.trained) for m in to_chat(1, decode(1, line)).messages] == [("assistant", "b", True)]
    assert (fast[0].role, fast[0].content, fast[0].trained) == ("assistant", "b", True)
