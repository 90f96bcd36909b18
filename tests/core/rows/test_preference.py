"""Rows of preferences, in both forms: what they are read as, and what is wrong with them."""

from pathlib import Path
from typing import Any

import pytest

from core.rows.chat import Message
from core.rows.error import RowError
from core.rows.kinds import row_kind, to_row
from core.rows.preference import Preference
from core.rows.read import rows as read_rows
from core.rows.survey import Survey
from core.rows.validate import validate
from tests.core.rows.files import as_csv, gzipped, jsonl, parquet, write
from tests.core.rows.test_tools import ROW as CALLING

USER = {"role": "user", "content": "2+2?"}
TEXTS = {"prompt": "2+2?", "chosen": "4", "rejected": "5"}
MESSAGES = {
    "prompt": [USER],
    "chosen": [{"role": "assistant", "content": "4"}],
    "rejected": [{"role": "assistant", "content": "5"}],
}
CONTRACT = {
    "input": {"messages": [USER], "tools": [], "parallel_tool_calls": True},
    "preferred_output": [{"role": "assistant", "content": "4"}],
    "non_preferred_output": [{"role": "assistant", "content": "5"}],
}


@pytest.mark.parametrize("row", [TEXTS, MESSAGES, CONTRACT], ids=["texts", "messages", "contract"])
def test_the_forms_mean_the_same(row: dict[str, Any]) -> None:
    found = to_row(1, row)
    assert isinstance(found, Preference)
    question = Message("user", "2+2?")
    assert [chat.messages for chat in found.chats] == [
        [question, Message("assistant", "4", trained=True)],
        [question, Message("assistant", "5", trained=True)],
    ]
    assert row_kind(1, row) == ("preference" if row is CONTRACT else "prompt_chosen_rejected")


def test_only_the_answers_are_learnt() -> None:
    turns = [USER, {"role": "assistant", "content": "4?"}, {"role": "user", "content": "Sure?"}]
    for chat in to_row(1, {**TEXTS, "prompt": turns}).chats:
        assert [message.trained for message in chat.messages] == [False, False, False, True]


def test_answers_may_call_functions() -> None:
    asked, called = CALLING["messages"][:1], CALLING["messages"][1]
    row = {
        "input": {"messages": asked, "tools": CALLING["tools"]},
        "preferred_output": [called],
        "non_preferred_output": [{"role": "assistant", "content": "I don't know."}],
    }
    chosen, rejected = to_row(1, row).chats
    assert chosen.messages[-1].tool_calls == called["tool_calls"]
    assert chosen.tools == rejected.tools == CALLING["tools"]


@pytest.mark.parametrize("content", [jsonl([CONTRACT]), gzipped([CONTRACT]), parquet([CONTRACT])])
def test_the_contracts_form_comes_in_every_format_that_nests(content: bytes, tmp_path: Path) -> None:
    path = write(tmp_path, content)
    assert [row.chats for _, row in read_rows(path)] == [to_row(1, CONTRACT).chats]
    report = validate(path)
    assert (report.kind, report.rows, report.faults) == ("preference", 1, [])


@pytest.mark.parametrize("content", [jsonl([TEXTS]), parquet([TEXTS]), as_csv([TEXTS])])
def test_texts_come_in_every_format(content: bytes, tmp_path: Path) -> None:
    assert [row.chats for _, row in read_rows(write(tmp_path, content))] == [to_row(1, TEXTS).chats]


def test_the_report_tells_pairs_apart_by_both_answers(tmp_path: Path) -> None:
    rows = [TEXTS, {**TEXTS, "rejected": "6"}, {"rejected": "5", "chosen": "4", "prompt": "2+2?"}]
    report = validate(write(tmp_path, jsonl(rows)), survey=Survey()).figures()
    assert report["duplicates"]["exact"] == 1
    assert report["characters"]["max"] == len("2+2?45")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({**TEXTS, "rejected": "4 "}, "line 3: rejected: is the same as chosen: there is nothing to prefer"),
        ({**TEXTS, "chosen": " "}, "line 3: chosen: is empty: there is nothing to learn"),
        ({"prompt": "x", "chosen": "y"}, "rejected: a list of one assistant message is needed, not nothing"),
        ({**TEXTS, "weight": 1}, "weight: unknown key; allowed here: prompt, chosen, rejected"),
        ({**MESSAGES, "prompt": MESSAGES["chosen"]}, "prompt: ends with an assistant's message"),
        ({**MESSAGES, "prompt": []}, "prompt: a list of at least one message is needed, not an empty list"),
        ({**MESSAGES, "chosen": [USER]}, "chosen[0]: an assistant's message is needed"),
        ({**MESSAGES, "chosen": [*MESSAGES["chosen"], USER]}, "chosen: a list of one assistant message"),
        ({**CONTRACT, "input": "2+2?"}, "input: an object with messages is needed, not a string"),
        ({**CONTRACT, "input": {"message": []}}, "input.message: unknown key; allowed here: messages, tools"),
        ({"preferred_output": []}, "input: an object with messages is needed, not nothing"),
        (
            {**CONTRACT, "preferred_output": [{**CALLING["messages"][1]}], "input": {**CONTRACT["input"], "tools": [
                {"type": "function", "function": {"name": "other"}}]}},
            "preferred_output[0].tool_calls[0].function.name",
        ),
    ],
)  # fmt: skip
def test_faults_say_where_and_what(row: dict[str, Any], words: str) -> None:
    with pytest.raises(RowError) as raised:
        to_row(3, row)
    assert words in str(raised.value)
