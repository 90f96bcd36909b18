"""Rows of rankings, and of pairs with a margin: what they are read as, and what is wrong with them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.rows.chat import Chat, Message
from core.rows.error import RowError
from core.rows.kinds import row_kind, to_row
from core.rows.ranking import MOST_RESPONSES, Ranking
from core.rows.read import rows as read_rows
from core.rows.survey import Survey
from core.rows.validate import validate
from tests.core.rows.files import as_csv, gzipped, jsonl, parquet, write

USER = {"role": "user", "content": "2+2?"}
RANKING = {
    "prompt": "2+2?",
    "responses": [
        {"response": "5", "rank": 2},
        {"response": "4", "rank": 1},
        {"response": "22", "rank": 2},
        {"response": "?", "rank": 7},
    ],
}
MESSAGES = {
    "prompt": [USER],
    "responses": [
        {"response": [{"role": "assistant", "content": each["response"]}], "rank": each["rank"]}
        for each in RANKING["responses"]
    ],
}
MARGIN = {"prompt": "2+2?", "chosen": "4", "rejected": "5", "margin": 1.5}


def said(*answers: str) -> tuple[Chat, ...]:
    return tuple(Chat([Message("user", "2+2?"), Message("assistant", answer, trained=True)]) for answer in answers)


def ranked(*responses: tuple[Any, Any]) -> dict[str, Any]:
    return {"prompt": "2+2?", "responses": [{"response": response, "rank": rank} for response, rank in responses]}


@pytest.mark.parametrize("row", [RANKING, MESSAGES], ids=["texts", "messages"])
def test_the_best_comes_first_and_equals_stay_in_order(row: dict[str, Any]) -> None:
    found = to_row(1, row)
    assert found == Ranking(said("4", "5", "22", "?"), (1, 2, 2, 7))
    assert found.sides == ("rank 1", "rank 2", "rank 2", "rank 7")
    assert row_kind(1, row) == "ranking"


def test_pairs_of_the_contract_may_have_one_and_none_is_zero() -> None:
    pair = {
        "input": {"messages": [{"role": "user", "content": "2+2?"}]},
        "preferred_output": [{"role": "assistant", "content": "4"}],
        "non_preferred_output": [{"role": "assistant", "content": "5"}],
    }
    assert row_kind(1, pair | {"margin": 1.5}) == "margin"
    assert to_row(1, pair | {"margin": 1.5}) == to_row(1, MARGIN)
    assert to_row(1, pair | {"margin": 0}) == to_row(1, MARGIN | {"margin": 0})
    assert to_row(1, MARGIN | {"margin": 0}) == replace(to_row(1, MARGIN), margin=0.0)


def test_a_margin_is_a_ranking_of_two() -> None:
    assert to_row(1, MARGIN) == Ranking(said("4", "5"), (1, 2), 1.5)
    assert row_kind(1, MARGIN) == "margin"


@pytest.mark.parametrize("row", [RANKING, MESSAGES, MARGIN], ids=["texts", "messages", "margin"])
@pytest.mark.parametrize("form", [jsonl, gzipped, parquet])
def test_they_come_in_every_format_that_nests(row: dict[str, Any], form: Any, tmp_path: Path) -> None:
    path = write(tmp_path, form([row]))
    assert [found for _, found in read_rows(path)] == [to_row(1, row)]
    report = validate(path)
    assert (report.kind, report.rows, report.faults) == (row_kind(1, row), 1, [])


@pytest.mark.parametrize("row", [RANKING, MARGIN, {**MARGIN, "margin": 2}], ids=["ranking", "margin", "whole"])
def test_in_tables_responses_and_margins_may_be_json_text(row: dict[str, Any], tmp_path: Path) -> None:
    assert [found for _, found in read_rows(write(tmp_path, as_csv([row])))] == [to_row(1, row)]


def test_a_margin_stands_in_every_row_or_in_none(tmp_path: Path) -> None:
    without = {key: value for key, value in MARGIN.items() if key != "margin"}
    for rows in ([MARGIN, without], [without, MARGIN]):
        (fault,) = validate(write(tmp_path, jsonl(rows))).faults
        assert (fault.line, "a file has rows of one form" in fault.message) == (2, True)


def test_the_report_tells_rankings_apart_by_all_responses(tmp_path: Path) -> None:
    shuffled = {**RANKING, "responses": RANKING["responses"][::-1]}
    same = {**RANKING, "responses": [RANKING["responses"][i] for i in (1, 0, 2, 3)]}
    report = validate(write(tmp_path, jsonl([RANKING, shuffled, same])), survey=Survey()).figures()
    assert report["duplicates"]["exact"] == 1
    assert report["characters"]["max"] == len("2+2?4522?")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (ranked(("4", 1)), "line 3: responses: a list of 2 to 64 responses is needed, not of 1"),
        (ranked(*[(f"{i}", i + 1) for i in range(MOST_RESPONSES + 1)]), "responses is needed, not of 65"),
        ({"prompt": "2+2?", "responses": "4"}, "responses: a list of 2 to 64 responses is needed, not a string"),
        ({"prompt": "2+2?", "responses": []}, "responses: a list of 2 to 64 responses is needed, not an empty list"),
        ({"responses": RANKING["responses"]}, "prompt: a list of at least one message is needed, not nothing"),
        ({**RANKING, "margin": 1}, "margin: unknown key; allowed here: prompt, responses"),
        (ranked(("4", 1), ("5", 2), (" 4\n", 3)), "responses[2].response: is the same as responses[0].response"),
        (ranked(("4", 2), ("5", 2)), "responses: all have rank 2: there is nothing to prefer"),
        (ranked(("4", 0), ("5", 2)), "responses[0].rank: a whole number from 1, the best, is needed, not 0"),
        (ranked(("4", 1), ("5", 1.5)), "responses[1].rank: a whole number from 1, the best, is needed, not 1.5"),
        (ranked(("4", 1), ("5", True)), "responses[1].rank: a whole number from 1, the best, is needed, not a boolean"),
        (ranked(("4", 1), ("5", None)), "responses[1].rank: a whole number from 1, the best, is needed, not nothing"),
        (ranked(("4", 1), (" ", 2)), "responses[1].response: is empty: there is nothing to learn"),
        (ranked(("4", 1), ([USER], 2)), "responses[1].response[0]: an assistant's message is needed"),
        (
            {**RANKING, "responses": ["4", "5"]},
            "responses[0]: an object with response and rank is needed, not a string",
        ),
        (
            {**RANKING, "responses": [{"response": "4", "rank": 1, "score": 2}, *RANKING["responses"]]},
            "responses[0].score: unknown key; allowed here: response, rank",
        ),
        ({**MARGIN, "margin": -1}, "line 3: margin: a number from 0 to 10 is needed, not -1"),
        ({**MARGIN, "margin": 10.5}, "margin: a number from 0 to 10 is needed, not 10.5"),
        ({**MARGIN, "margin": float("nan")}, "margin: a number from 0 to 10 is needed, not nan"),
        ({**MARGIN, "margin": "1"}, "margin: a number from 0 to 10 is needed, not a string"),
        ({**MARGIN, "margin": True}, "margin: a number from 0 to 10 is needed, not a boolean"),
        ({**MARGIN, "note": 1}, "note: unknown key; allowed here: prompt, chosen, rejected, margin"),
        ({**MARGIN, "rejected": "4"}, "rejected: is the same as chosen: there is nothing to prefer"),
    ],
)
def test_faults_say_where_and_what(row: dict[str, Any], words: str) -> None:
    with pytest.raises(RowError) as raised:
        to_row(3, row)
    assert words in str(raised.value)


def test_what_is_no_number_in_a_table_is_told(tmp_path: Path) -> None:
    (fault,) = validate(write(tmp_path, as_csv([{**MARGIN, "margin": "much"}]))).faults
    assert str(fault).startswith("line 2: margin: not valid JSON")
