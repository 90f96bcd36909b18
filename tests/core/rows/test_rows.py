import io
import json
from pathlib import Path
from typing import Any

import pytest

from core.rows.chat import Message, parse_chat
from core.rows.error import RowError
from core.rows.jsonl import CHUNK, LONGEST_LINE, iterate
from core.rows.validate import MOST_FAULTS, validate

USER = {"role": "user", "content": "Hello"}
ANSWER = {"role": "assistant", "content": "Good day"}


def line_of(row: Any) -> bytes:
    return json.dumps(row).encode() + b"\n"


def fault_of(row: Any) -> str:
    with pytest.raises(RowError) as caught:
        parse_chat(3, row if isinstance(row, bytes) else line_of(row))
    return str(caught.value)


def test_chat_row() -> None:
    row = {"messages": [{"role": "developer", "content": "Be brief"}, USER, {**ANSWER, "weight": 0}, USER, ANSWER]}
    assert parse_chat(1, line_of(row)).messages == [
        Message("system", "Be brief"),
        Message("user", "Hello"),
        Message("assistant", "Good day"),
        Message("user", "Hello"),
        Message("assistant", "Good day", trained=True),
    ]


def test_prompt_and_completion() -> None:
    messages = parse_chat(1, line_of({"prompt": "2+2", "completion": "4"})).messages
    assert messages == [Message("user", "2+2"), Message("assistant", "4", trained=True)]


def test_empty_text_is_refused_only_where_it_would_be_learnt() -> None:
    quiet = {"role": "system", "content": ""}
    assert parse_chat(1, line_of({"messages": [quiet, ANSWER]})).messages[0].content == ""
    assert "messages[0].content: is empty" in fault_of({"messages": [{"role": "assistant", "content": " "}]})
    assert "completion: is empty" in fault_of({"prompt": "x", "completion": ""})


def test_a_byte_order_mark_is_no_fault_of_the_row() -> None:
    assert parse_chat(1, b"\xef\xbb\xbf" + line_of({"messages": [ANSWER]})).messages


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (
            {"messages": [USER, {"role": "bot", "content": "x"}]},
            "line 3: messages[1].role: 'bot' is not one of",
        ),
        ({"messages": [USER]}, "line 3: messages: no assistant message to learn from"),
        ({"messages": [{**ANSWER, "weight": 0}]}, "line 3: messages: no assistant message to learn from"),
        ({"messages": [{**ANSWER, "weight": 0.5}]}, "messages[0].weight: 0 or 1, and on assistant messages only"),
        ({"messages": [{**ANSWER, "weight": True}]}, "messages[0].weight: 0 or 1"),
        ({"messages": [{**USER, "weight": 1}, ANSWER]}, "messages[0].weight: 0 or 1, and on assistant messages only"),
        ({"messages": []}, "messages: a list of at least one message is needed, not an empty list"),
        ({"messages": ["hi"]}, "messages[0]: an object with role and content is needed, not a string"),
        ({"messages": [{"role": "user"}]}, "messages[0].content: a string is needed, not nothing"),
        ({"messages": [{"role": "user", "content": [1]}]}, "messages[0].content: a string is needed, not a list"),
        ({"messages": [{**ANSWER, "tool_calls": [{}]}]}, "messages[0].tool_calls: is not supported yet"),
        ({"messages": [ANSWER], "tools": []}, "tools: tools are not supported yet"),
        ({"messages": [ANSWER], "lable": 1}, "lable: unknown key; allowed here: messages"),
        ({"text": "x"}, "has neither 'messages' nor 'prompt' and 'completion', but 'text'"),
        ({"prompt": "x"}, "completion: a string is needed, not nothing"),
        ([1], "line 3: a JSON object is needed, not a list"),
        (b'{"messages": \n', "line 3: not valid JSON"),
        (b'{"prompt": "\xff"}\n', "line 3: not valid UTF-8"),
        (b'{"prompt": "x", "compl', "line 3: the last line is cut off"),
        (b"[" * 100_000 + b"\n", "line 3: not valid JSON"),
    ],
)
def test_faults_say_where_and_what(row: Any, words: str) -> None:
    assert words in fault_of(row)


def test_lines_are_numbered_as_in_an_editor_and_blank_ones_are_skipped() -> None:
    assert list(iterate(io.BytesIO(b"a\n\n  \r\nb\r\nc"))) == [(1, b"a\n"), (4, b"b\r\n"), (5, b"c")]


def test_lines_across_chunks(tmp_path: Path) -> None:
    long = b"x" * (CHUNK + 5)
    (tmp_path / "rows").write_bytes(long + b"\n" + long)
    assert list(iterate(tmp_path / "rows")) == [(1, long + b"\n"), (2, long)]


def test_a_line_is_bounded() -> None:
    class Endless:
        read_bytes = 0

        def read(self, size: int, /) -> bytes:
            self.read_bytes += size
            return b"x" * size

    source = Endless()
    with pytest.raises(RowError, match="line 1: longer than"):
        list(iterate(source))
    assert source.read_bytes <= LONGEST_LINE + 2 * CHUNK


def test_the_report_counts_all_faults_and_keeps_the_first() -> None:
    good, bad = line_of({"messages": [ANSWER]}), line_of({"messages": [USER]})
    report = validate(io.BytesIO(good + bad * 30 + good))
    assert (report.rows, report.fault_count, len(report.faults)) == (32, 30, MOST_FAULTS)
    assert report.faults[0].line == 2


@pytest.mark.parametrize("content", [b"", b"\n \n"])
def test_an_empty_file_is_a_fault(content: bytes) -> None:
    assert [str(fault) for fault in validate(io.BytesIO(content)).faults] == ["line 1: the file has no rows"]
