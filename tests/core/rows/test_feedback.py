"""Rows of feedback: what they are read as in every format, and what is wrong with them."""

from pathlib import Path
from typing import Any

import pytest

from core.rows.chat import Chat, Message
from core.rows.error import RowError
from core.rows.feedback import Feedback
from core.rows.kinds import row_kind, to_row
from core.rows.read import rows as read_rows
from core.rows.survey import Survey
from core.rows.validate import validate
from tests.core.rows.files import FORMATS, jsonl, parquet, write

USER = {"role": "user", "content": "2+2?"}
ANSWER = {"role": "assistant", "content": "4"}
LIKED = {"prompt": "2+2?", "completion": "4", "label": True}
DISLIKED = {**LIKED, "completion": "5", "label": False}
CHAT = Chat([Message("user", "2+2?"), Message("assistant", "4", trained=True)])


@pytest.mark.parametrize("row", [LIKED, {**LIKED, "prompt": [USER], "completion": [ANSWER]}], ids=["texts", "messages"])
def test_texts_and_messages_mean_the_same(row: dict[str, Any]) -> None:
    assert row_kind(1, row) == "feedback"
    assert to_row(1, row) == Feedback(CHAT, True)
    assert to_row(1, {**row, "label": False}) == Feedback(CHAT, False)


def test_only_the_answer_is_learnt() -> None:
    (chat,) = to_row(1, {**LIKED, "prompt": [USER, {**ANSWER, "content": "5"}, USER]}).chats
    assert [message.trained for message in chat.messages] == [False, False, False, True]


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_gives_the_same_rows(format: str, tmp_path: Path) -> None:
    path = write(tmp_path, FORMATS[format]([LIKED, DISLIKED]))
    assert [row for _, row in read_rows(path)] == [to_row(1, LIKED), to_row(1, DISLIKED)]
    report = validate(path)
    assert (report.format, report.kind, report.rows, report.faults) == (format, "feedback", 2, [])


def test_labels_in_csv_are_read_as_spreadsheets_write_them(tmp_path: Path) -> None:
    path = write(tmp_path, b"label,prompt,completion\nTRUE,2+2?,4\nFalse,2+2?,5\n")
    assert [row for _, row in read_rows(path)] == [to_row(1, LIKED), to_row(1, DISLIKED)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"prompt,completion,label\na,b,true\na,b,\n", "line 3: label: true or false is needed, not an empty string"),
        (b"prompt,completion,label\na,b,1\n", "line 2: label: true or false is needed, not '1'"),
        (parquet([{**LIKED, "label": 1}]), "line 1: label: true or false is needed, not a number"),
        (parquet([LIKED, {**LIKED, "label": None}]), "line 2: is of the form prompt_completion, but the first row is"),
        (jsonl([LIKED, {"prompt": "a", "completion": "b"}]), "line 2: is of the form prompt_completion, but the first"),
    ],
)
def test_what_is_no_label_is_a_fault(content: bytes, words: str, tmp_path: Path) -> None:
    (fault,) = validate(write(tmp_path, content)).faults
    assert words in str(fault)


def test_the_same_answer_liked_and_disliked_is_no_duplicate(tmp_path: Path) -> None:
    rows = [LIKED, {**LIKED, "label": False}, {**LIKED, "prompt": [USER]}]
    report = validate(write(tmp_path, jsonl(rows)), survey=Survey()).figures()
    assert report["duplicates"]["exact"] == 1
    assert report["characters"]["max"] == len("2+2?4")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({**LIKED, "label": "yes"}, "line 3: label: true or false is needed, not 'yes'"),
        ({**LIKED, "label": 1}, "line 3: label: true or false is needed, not a number"),
        ({**LIKED, "label": None}, "line 3: label: true or false is needed, not nothing"),
        ({**LIKED, "rating": 5}, "line 3: rating: unknown key; allowed here: prompt, completion, label"),
        ({"messages": [USER, ANSWER], "label": True}, "line 3: messages: unknown key; allowed here: prompt, comp"),
        ({"completion": "4", "label": True}, "line 3: prompt: a list of at least one message is needed, not nothing"),
        ({**LIKED, "completion": " "}, "line 3: completion: is empty: there is nothing to learn"),
        ({**LIKED, "completion": [USER]}, "line 3: completion[0]: an assistant's message is needed"),
        ({**LIKED, "prompt": [ANSWER]}, "line 3: prompt: ends with an assistant's message: an answer comes behind it"),
        (
            {**LIKED, "prompt": [{"role": "tool", "content": "x", "tool_call_id": "1"}]},
            "line 3: prompt[0].tool_call_id: '1' answers no earlier call",
        ),
    ],
)
def test_faults_say_where_and_what(row: dict[str, Any], words: str) -> None:
    with pytest.raises(RowError) as raised:
        to_row(3, row)
    assert words in str(raised.value)
