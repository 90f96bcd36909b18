"""Rows of prompts and problems: what they are known by, what they are read as in every format, and what is wrong."""

from pathlib import Path
from typing import Any

import pytest

from core.rows.chat import Chat, Message
from core.rows.error import RowError
from core.rows.kinds import row_kind, texts_of, to_row
from core.rows.prompt import Prompt, to_prompt_row
from core.rows.read import prompts
from core.rows.read import rows as read_rows
from core.rows.survey import Survey
from core.rows.validate import LONGEST_KEY, MOST_KEYS, validate
from tests.core.rows.files import FORMATS, as_csv, jsonl, write
from tests.core.rows.test_tools import ROW as TOOLS

USER = {"role": "user", "content": "2+2?"}
ANSWER = {"role": "assistant", "content": "4"}
PROMPT = {"messages": [USER], "answer": "4", "level": "easy"}
PROBLEM = {"problem": "2+2?", "answer": "4", "level": "easy"}
REASONING = {"problem": "2+2?", "reasoning": "Two and two.", "answer": "4"}
ASKED = [Message("user", "2+2?")]
TOOL = {"role": "tool", "content": "4", "tool_call_id": "1"}


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ({"messages": [USER]}, "prompt"),
        ({"messages": [{"role": "system", "content": "Be brief."}, USER], "tools": None}, "prompt"),
        ({"messages": [USER, ANSWER, USER], "answer": "5"}, "prompt"),
        ({"messages": [USER, ANSWER, TOOL], "id": 1}, "prompt"),
        # Keys that make other rows something else have no meaning beside messages that wait for an answer.
        ({"messages": [USER], "label": "even", "chosen": "a", "text": "b", "responses": []}, "prompt"),
        ({"messages": [USER, ANSWER, USER]}, "messages"),
        ({"messages": [USER, ANSWER, USER], "tools": [], "parallel_tool_calls": True}, "messages"),
        ({"messages": [USER, ANSWER], "answer": "4"}, "messages"),
        ({"messages": []}, "messages"),
        (PROBLEM, "problem"),
        ({**PROBLEM, "label": True, "text": "x"}, "problem"),
        (REASONING, "reasoning"),
        ({"problem": "2+2?"}, "reasoning"),
    ],
)
def test_a_row_is_known_by_its_last_message_and_its_keys(row: dict[str, Any], kind: str) -> None:
    assert row_kind(1, row) == kind


@pytest.mark.parametrize("row", [PROMPT, PROBLEM])
@pytest.mark.parametrize("format", FORMATS)
def test_every_format_gives_the_same_prompts(format: str, row: dict[str, Any], tmp_path: Path) -> None:
    path = write(tmp_path, FORMATS[format]([row, row]))
    wanted = Prompt(ASKED, None, {key: row[key] for key in row if key != "messages"})
    assert [prompt for _, prompt in prompts(path)] == [wanted, wanted] == [read for _, read in read_rows(path)]
    report = validate(path)
    assert (report.format, report.kind, report.rows, report.faults) == (format, row_kind(1, row), 2, [])


def test_reasoning_serves_as_a_prompt_that_does_not_show_it(tmp_path: Path) -> None:
    ((_, prompt),) = prompts(write(tmp_path, jsonl([REASONING])))
    assert prompt == Prompt(ASKED, None, REASONING)


def test_nothing_of_a_prompt_is_learnt() -> None:
    prompt = to_prompt_row(1, {"messages": [USER, {**ANSWER, "weight": 1}, USER], "id": 1})
    assert [message.trained for message in prompt.messages] == [False, False, False]
    assert prompt.chats == (Chat(prompt.messages),)
    assert texts_of(prompt) == ["2+2?", "4", "2+2?"]


def test_among_prompts_a_chat_that_ends_with_a_question_is_one(tmp_path: Path) -> None:
    turns = {"messages": [USER, ANSWER, USER]}
    assert validate(write(tmp_path, jsonl([PROMPT, turns]))).faults == []
    (fault,) = validate(write(tmp_path, jsonl([PROMPT, {"messages": [USER, ANSWER]}]))).faults
    assert "line 2: messages[1].role: the last message is to be a user's" in str(fault)


def test_among_chats_a_prompt_is_told_what_it_lacks(tmp_path: Path) -> None:
    rows = [{"messages": [USER, ANSWER]}, {"messages": [USER]}, {"messages": [USER, ANSWER, USER], "lable": 1}]
    faults = [str(fault) for fault in validate(write(tmp_path, jsonl(rows))).faults]
    assert faults[0].startswith("line 2: messages: no assistant message to learn from")
    assert faults[1].startswith("line 3: lable: unknown key; allowed here: messages")
    (fault,) = validate(write(tmp_path, jsonl([PROBLEM, PROMPT]))).faults
    assert "is of the form prompt, but the first row is problem" in str(fault)


def test_what_graders_are_told_makes_a_row_another(tmp_path: Path) -> None:
    rows = [PROMPT, {"level": "easy", "answer": "4", "messages": [USER]}, {**PROMPT, "answer": "5"}]
    rows += [{**PROMPT, "tools": TOOLS["tools"]}]
    survey = Survey()
    figures = validate(write(tmp_path, jsonl(rows)), survey=survey).figures()
    assert figures["duplicates"]["exact"] == 1
    assert figures["characters"]["max"] == len("2+2?")
    assert (figures["empty_answers"], figures["refused_answers"]) == (0, 0)
    assert len(survey.sketch().prompts) == 2  # with tools another, with another answer the same


def test_the_report_tells_the_keys(tmp_path: Path) -> None:
    def keys(rows: list[dict[str, Any]]) -> list[str] | None:
        return validate(write(tmp_path, jsonl(rows)), survey=Survey()).figures()["keys"]

    assert keys([PROMPT, {"messages": [USER], "x": None}]) == ["answer", "level", "x"]
    assert keys([{"messages": [USER], "tools": TOOLS["tools"]}]) == []
    assert keys([PROBLEM]) == ["answer", "level", "problem"]
    assert keys([{"messages": [USER, ANSWER]}]) is None
    assert keys([{**PROMPT, "\0": 1}, PROMPT]) is None
    assert keys([{**PROMPT, "x" * (LONGEST_KEY + 1): 1}]) is None
    assert keys([PROMPT, {**PROMPT, **{f"key{i}": i for i in range(MOST_KEYS)}}]) is None


def test_a_cell_is_text_but_where_rows_have_structure(tmp_path: Path) -> None:
    ((_, prompt),) = prompts(write(tmp_path, as_csv([{"messages": [USER], "answer": 4}])))
    assert prompt == Prompt(ASKED, None, {"answer": "4"})


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"messages": [ANSWER], "id": 1}, "messages[0].role: the last message is to be a user's, which the model"),
        ({"messages": [], "id": 1}, "messages: a list of at least one message is needed, not an empty list"),
        ({"messages": [{**USER, "content": 1}]}, "messages[0].content: a string is needed, not a number"),
        ({"messages": [TOOL]}, "messages[0].tool_call_id: '1' answers no earlier call"),
        ({"messages": [USER], "tools": [{}]}, "tools[0]"),
        ({"messages": [USER], "functions": []}, "functions: is the old form: give tools"),
        ({"problem": " ", "answer": "4"}, "problem: is empty: there is nothing to answer"),
        ({"problem": 4, "answer": "4"}, "problem: a string is needed, not a number"),
        ({"prompt": "a", "completion": "b"}, "problem: a string is needed, not nothing"),
    ],
)
def test_faults_say_where_and_what(row: dict[str, Any], words: str) -> None:
    with pytest.raises(RowError) as raised:
        to_prompt_row(3, row)
    assert f"line 3: {words}" in str(raised.value)


def test_a_row_is_read_as_its_own_kind() -> None:
    assert to_row(1, PROMPT) == Prompt(ASKED, None, {"answer": "4", "level": "easy"})
    assert isinstance(to_row(1, {"messages": [USER, ANSWER, USER]}), Chat)
