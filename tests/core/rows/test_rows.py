import io
import json
from pathlib import Path
from typing import Any

import pytest

from core.rows.chat import Chat, Message, to_chat
from core.rows.error import RowError
from core.rows.jsonl import BLOCK, LONGEST_LINE, decode, whole_lines
from core.rows.validate import MOST_FAULTS, validate

USER = {"role": "user", "content": "Hello"}
ANSWER = {"role": "assistant", "content": "Good day"}


def line_of(row: Any) -> bytes:
    return json.dumps(row).encode() + b"\n"


def parse_chat(number: int, line: bytes) -> Chat:
    return to_chat(number, decode(number, line))


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


def test_pairs() -> None:
    for row in ({"prompt": "2+2", "completion": "4"}, {"instruction": "2+2", "response": "4"}):
        messages = parse_chat(1, line_of(row)).messages
        assert messages == [Message("user", "2+2"), Message("assistant", "4", trained=True)]


def test_reasoning_stands_before_the_answer() -> None:
    row = {"problem": "60 mph for 2.5 hours?", "reasoning": "\n60 · 2.5 = 150\n", "answer": "150 miles"}
    assert parse_chat(1, line_of(row)).messages == [
        Message("user", "60 mph for 2.5 hours?"),
        Message("assistant", "<think>\n60 · 2.5 = 150\n</think>\n\n150 miles", trained=True),
    ]


def test_content_may_be_a_list_of_text_parts() -> None:
    parts = [{"type": "text", "text": "Good "}, {"type": "text", "text": "day"}]
    assert parse_chat(1, line_of({"messages": [{**ANSWER, "content": parts}]})).messages[0].content == "Good day"


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
        ({"messages": [{"role": "user", "content": [1]}]}, "messages[0].content[0]: a part such as"),
        ({"messages": [{**ANSWER, "function_call": {}}]}, "messages[0].function_call: is the old form"),
        ({"messages": [{**ANSWER, "refusal": "No"}]}, "messages[0].refusal: is not read: put"),
        ({"messages": [ANSWER], "functions": []}, "functions: is the old form: give tools"),
        (
            {"messages": [ANSWER], "parallel_tool_calls": 1},
            "parallel_tool_calls: true or false is needed, not a number",
        ),
        ({"messages": [{**USER, "content": [{"type": "image_url"}]}]}, "content[0].type: 'image_url' can't be learnt"),
        ({"messages": [{**USER, "content": [{"type": "text"}]}]}, "content[0].text: a string is needed, not nothing"),
        ({"instruction": "x"}, "response: a string is needed, not nothing"),
        (
            {"instruction": "x", "response": "y", "input": "z"},
            "input: unknown key; allowed here: instruction, response",
        ),
        ({"problem": "x", "answer": "y"}, "reasoning: a string is needed, not nothing"),
        ({"problem": "x", "reasoning": " ", "answer": "y"}, "reasoning: is empty: there is nothing to learn"),
        ({"problem": "x", "reasoning": "<think>z", "answer": "y"}, "reasoning: holds <think> or </think>, which are"),
        ({"problem": "x", "reasoning": "z", "answer": "y", "steps": 1}, "allowed here: problem, reasoning, answer"),
        ({"messages": [ANSWER], "lable": 1}, "lable: unknown key; allowed here: messages"),
        ({"text": "x"}, "has 'text', where 'messages', 'prompt' and 'completion', 'instr"),
        ({"prompt": "x"}, "completion: a string is needed, not nothing"),
        ([1], "line 3: a JSON object is needed, not a list"),
        (b'{"messages": \n', "line 3: the JSON goes on in the next line: in JSONL each line is one whole object"),
        (b"{\r\n", "line 3: the JSON goes on in the next line"),
        (b'  "prompt": "x",\n', "line 3: begins with no {: in JSONL each line is one whole object"),
        (b"},\n", "line 3: begins with no {"),
        (b'"prompt": "x", "completion": "y"}\n', "line 3: begins with no {"),
        (b'{"prompt": "{", "completion": "\\""\n', "line 3: the line ends too early: it lacks } at its end"),
        (b'{"messages": [{"role": "user"}\n', "line 3: the line ends too early: it lacks ]} at its end"),
        (b'{"prompt": "x\n', 'line 3: the line ends too early: it lacks "} at its end'),
        (b'{"prompt": "' + b"x" * 100_000 + b'"\n', "line 3: the line ends too early: it lacks what closes it"),
        (b'{"prompt": nul}\n', "line 3: not valid JSON (JSON is malformed"),
        (b'{"prompt": "x",}\n', "line 3: not valid JSON (JSON is malformed: trailing comma in object"),
        (b'{"prompt": "\xff"}\n', "line 3: not valid UTF-8"),
        (b'{"prompt": "x", "compl', 'line 3: the last line is cut off: it lacks "} at its end, and has no newline'),
        (b'{"prompt": "x"}}', "line 3: not valid JSON"),
        (b"[" * 100_000 + b"\n", "line 3: not valid JSON"),
    ],
)
def test_faults_say_where_and_what(row: Any, words: str) -> None:
    assert words in fault_of(row)


def test_lines_are_numbered_as_in_an_editor_and_blank_ones_are_skipped() -> None:
    assert numbered(b"a\n\n  \r\nb\r\nc") == [(1, b"a\n"), (4, b"b\r\n"), (5, b"c")]


def test_lines_are_whole_wherever_a_block_ends() -> None:
    content = [b"%d %s\n" % (number, b"x" * (number * 37 % 5000)) for number in range(1, 400)]
    assert len(b"".join(content)) > 5 * BLOCK
    assert numbered(b"".join(content)) == list(enumerate(content, 1))


def numbered(content: bytes) -> list[tuple[int, bytes]]:
    return [line for block in whole_lines(io.BytesIO(content)) for line in block]


def test_a_line_is_bounded() -> None:
    class Endless(io.RawIOBase):
        read_bytes = 0

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any, /) -> int:
            self.read_bytes += len(buffer)
            buffer[:] = b"x" * len(buffer)
            return len(buffer)

    source = Endless()
    with pytest.raises(RowError, match="line 1: longer than"):
        list(whole_lines(source))  # pyright: ignore[reportArgumentType]
    assert source.read_bytes <= LONGEST_LINE + 2 * BLOCK


def test_a_line_is_bounded_wherever_it_ends() -> None:
    long = b"x" * LONGEST_LINE
    assert numbered(b"a\n" + long[1:] + b"\n") == [(1, b"a\n"), (2, long[1:] + b"\n")]
    for end in (b"", b"\n", b"\nb\n"):
        with pytest.raises(RowError, match="line 2: longer than"):
            numbered(b"a\n" + long + b"x" + end)


def test_the_report_counts_all_faults_and_keeps_the_first(tmp_path: Path) -> None:
    good, bad = line_of({"messages": [ANSWER]}), line_of({"messages": [USER]})
    (tmp_path / "rows").write_bytes(good + bad * 30 + good)
    report = validate(tmp_path / "rows")
    assert (report.rows, report.fault_count, len(report.faults)) == (32, 30, MOST_FAULTS)
    assert report.faults[0].line == 2


@pytest.mark.parametrize("content", [b"", b"\n \n"])
def test_an_empty_file_is_a_fault(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "rows").write_bytes(content)
    assert [str(fault) for fault in validate(tmp_path / "rows").faults] == ["line 1: the file has no rows"]


def test_a_file_has_rows_of_one_form(tmp_path: Path) -> None:
    (tmp_path / "rows").write_bytes(
        line_of({"messages": [ANSWER]})
        + line_of({"prompt": "2+2", "completion": "4"})
        + line_of({"messages": [ANSWER]})
    )
    report = validate(tmp_path / "rows")
    assert report.kind == "messages"
    assert [str(fault) for fault in report.faults] == [
        "line 2: is of the form prompt_completion, but the first row is messages: a file has rows of one form"
    ]


def test_words_that_quote_a_row_can_be_printed_and_stored(tmp_path: Path) -> None:
    (tmp_path / "rows").write_bytes(line_of({"messages": [ANSWER], "\0\x1b[31m" + "x" * 10_000: 1}))
    (fault,) = validate(tmp_path / "rows").faults
    assert fault.field == "\ufffd\ufffd[31m" + "x" * 54
