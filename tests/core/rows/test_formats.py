"""Every format gives the same chats, and says in words what is wrong with it."""

import gzip
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from core.rows.chat import to_chat
from core.rows.formats import detect
from core.rows.jsonl import LONGEST_LINE
from core.rows.read import rows as read_rows
from core.rows.survey import Survey
from core.rows.validate import validate
from tests.core.rows.files import FORMATS, as_csv, gzipped, jsonl, parquet, write
from tests.core.rows.test_tools import ROW as TOOLS

PLAIN = {"messages": [{"role": "user", "content": 'Say "å,\nb"'}, {"role": "assistant", "content": "å", "weight": 1}]}
MESSAGES = [PLAIN, TOOLS, {"messages": [{"role": "assistant", "content": " 日本 "}]}]
PAIRS = [{"instruction": "2+2, please", "response": "4"}, {"instruction": "", "response": "five\n"}]


@pytest.mark.parametrize("rows", [MESSAGES, PAIRS], ids=["messages", "pairs"])
@pytest.mark.parametrize("format", FORMATS)
def test_every_format_gives_the_same_chats(format: str, rows: list[dict[str, Any]], tmp_path: Path) -> None:
    path = write(tmp_path, FORMATS[format](rows))
    assert detect(path) == format
    assert [chat for _, chat in read_rows(path)] == [to_chat(1, row) for row in rows]
    report = validate(path)
    assert (report.format, report.rows, report.faults) == (format, len(rows), [])


def test_rows_are_numbered_as_in_an_editor(tmp_path: Path) -> None:
    rows = b'prompt,completion\r\n"a\r\nb",c\r\n\r\nd,e\r\n'
    assert [number for number, _ in read_rows(write(tmp_path, rows))] == [2, 5]
    assert [number for number, _ in read_rows(write(tmp_path, b"\n\n" + rows))] == [4, 7]


def test_a_table_may_hold_messages_as_text(tmp_path: Path) -> None:
    text = [{"messages": json.dumps(PLAIN["messages"])}]
    for content in (as_csv(text), parquet(text)):
        assert [chat for _, chat in read_rows(write(tmp_path, content))] == [to_chat(1, PLAIN)]


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        (b"PK\x03\x04xxxx", "a.xlsx", "the file is a ZIP archive or a spreadsheet; JSONL, gzipped JSONL, Parquet, CSV"),
        ("prompt,completion\n".encode("utf-16"), "a.csv", "the file is text in UTF-16"),
        (b"hello", "a.parquet", "the file is named .parquet but holds no Parquet data"),
        (b"hello", "a.jsonl.gz", "the file is named .gz but holds no gzip data"),
        (b"{\0}", "a.jsonl", "the file holds binary data"),
        (b"hello\n", "a.text", "line 1: not valid JSON"),
        (b"a,b\n1,2\n", "a.csv", "line 2: has 'a', 'b', where 'messages', 'prompt' and 'completion', 'instr"),
        (b"prompt,completion,id\na,b,1\n", "a.csv", "line 2: id: unknown key; allowed here: prompt, completion"),
        (b"prompt,completion\na,b,c\n", "a.csv", "line 2: has 3 cells where the header has 2 columns"),
        (b"prompt,prompt\na,b\n", "a.csv", "line 1: prompt: two columns have this name"),
        (b'prompt,completion\n"a,b\n', "a.csv", "line 2: not valid CSV (unexpected end of data)"),
        (b'prompt,completion\na,b\n"a" b,c\n', "a.csv", "line 3: not valid CSV"),
        (b"prompt,completion\na,\xff\n", "a.csv", "line 2: not valid UTF-8"),
        (b"prompt;completion\na;b\n", "a.csv", "line 1: the columns are separated by ';'; commas are needed"),
        (b"[\n{},\n]\n", "a.jsonl", "line 1: the JSON goes on in the next line: in JSONL each line is one whole"),
        (b"messages\n[{\n", "a.csv", "line 2: messages: not valid JSON"),
        (b"," * 100 + b"prompt\n", "a.csv", "line 1: 101 columns; at most 64 are allowed"),
        (gzipped(PAIRS)[:-12], "a.jsonl.gz", "the gzip data is damaged or cut off"),
        (gzip.compress(b"prompt,completion\na,b\n"), "a.csv.gz", "the gzip data holds CSV"),
        (gzip.compress(b"PAR1"), "a.jsonl.gz", "line 1: not valid JSON"),
        (parquet(PAIRS)[:-5], "a.parquet", "the Parquet data is cut off"),
        (b"PAR1" + bytes(100) + b"\x20\0\0\0PAR1", "a.parquet", "the Parquet data is damaged or cut off"),
        (b"PAR1" + b"\xff\xff\xff\x7fPAR1", "a.parquet", "2147483647 bytes of Parquet metadata; at most"),
    ],
)
def test_faults_say_what_is_wrong(content: bytes, name: str, words: str, tmp_path: Path) -> None:
    faults = [str(fault) for fault in validate(write(tmp_path, content), name=name).faults]
    assert words in faults[0]


def test_a_fault_in_a_row_of_a_table_does_not_end_the_reading(tmp_path: Path) -> None:
    bad = [{"prompt": "a", "completion": ""}, {"prompt": "a", "completion": "b"}, {"prompt": "a", "completion": " "}]
    for content, lines in ((as_csv(bad), [2, 4]), (parquet(bad), [1, 3]), (gzipped(bad), [1, 3])):
        survey = Survey()
        report = validate(write(tmp_path, content), survey=survey)
        assert ([fault.line for fault in report.faults], report.rows) == (lines, 3)
        assert survey.empty_answers == 2


def test_a_quote_that_never_closes_is_not_read_to_the_end(tmp_path: Path) -> None:
    content = b'prompt,completion\n"' + (b"x" * 1000 + b"\n") * (2 * LONGEST_LINE // 1000)
    (fault,) = validate(write(tmp_path, content)).faults
    assert str(fault) == f"line 2: a row longer than {LONGEST_LINE} bytes, or a quote that never closes"


def test_parquet_rows_come_whole_however_long_they_are_and_however_they_are_stored(tmp_path: Path) -> None:
    texts = [
        character * length for character, length in zip("aåあ" * 4, [3, 0, 10**6, 1, 2 * 10**6, 7] * 2, strict=True)
    ]
    rows = [{"messages": [{"role": "assistant", "content": text + "."}]} for text in texts]
    for kind in (pyarrow.string(), pyarrow.large_string(), pyarrow.dictionary(pyarrow.int32(), pyarrow.string())):
        contents = pyarrow.array([row["messages"][0]["content"] for row in rows]).cast(kind)
        roles = pyarrow.array(["assistant"] * len(rows))
        messages = pyarrow.StructArray.from_arrays([roles, contents], ["role", "content"])
        column = pyarrow.ListArray.from_arrays(list(range(len(rows) + 1)), messages)
        pyarrow.parquet.write_table(pyarrow.table({"messages": column}), tmp_path / "rows")
        assert [chat for _, chat in read_rows(tmp_path / "rows")] == [to_chat(1, row) for row in rows]


def test_a_parquet_row_that_is_too_long_is_a_fault_of_that_row(tmp_path: Path) -> None:
    """As long as it would be as a line of JSON."""
    most = LONGEST_LINE - len('{"prompt":"","completion":"b"}\n')
    rows = [{"prompt": "a" * length, "completion": "b"} for length in (1, most, most + 1, 1)]
    report = validate(write(tmp_path, parquet(rows)))
    assert report.rows == 4
    assert [str(fault) for fault in report.faults] == [f"line 3: longer than {LONGEST_LINE} bytes"]


def test_what_is_null_in_parquet_was_never_given(tmp_path: Path) -> None:
    """Nested calls, which most messages have none of."""
    arguments = {"name": "f", "arguments": "{}"}
    calling = {"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": arguments}]}
    answer = {"role": "assistant", "content": "b", "weight": 1}
    rows = [{"messages": [calling, {"role": "tool", "content": "4", "tool_call_id": "1"}, answer]}] * 3
    survey = Survey()
    report = validate(write(tmp_path, parquet(rows)), survey=survey)
    assert (report.rows, report.faults) == (3, [])
    assert report.figures()["duplicates"]["exact"] == 2
    assert [chat for _, chat in read_rows(tmp_path / "rows")] == [to_chat(1, row) for row in rows]


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (pyarrow.array([b"a"]), "line 1: completion: its type is <Binary>; text, numbers"),
        (pyarrow.array([{"a": [datetime(2026, 1, 1)]}]), "line 1: completion: its type is <Struct("),
        (pyarrow.array([1.5]), "line 1: completion: a string is needed, not a number"),
    ],
)
def test_a_type_that_json_has_no_value_for_is_not_read_as_another(
    column: pyarrow.Array, words: str, tmp_path: Path
) -> None:
    pyarrow.parquet.write_table(pyarrow.table({"prompt": ["a"], "completion": column}), tmp_path / "rows")
    (fault,) = validate(tmp_path / "rows").faults
    assert words in str(fault)


def test_the_first_line_may_carry_a_byte_order_mark(tmp_path: Path) -> None:
    for content in (jsonl(PAIRS), as_csv(PAIRS)):
        assert validate(write(tmp_path, b"\xef\xbb\xbf" + content)).faults == []


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-12], lambda data: data[:-8] + bytes(8), lambda data: data + b"x"]
)
def test_rows_before_a_damage_are_judged(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    rows: list[dict[str, Any]] = [{"prompt": f"{number} " * 20, "completion": "x"} for number in range(2000)]
    rows[3]["completion"] = ""
    report = validate(write(tmp_path, damage(gzipped(rows))), name="a.jsonl.gz")
    assert report.rows > 1800
    assert [fault.line for fault in report.faults] == [4, report.rows + 1]


def test_a_row_of_csv_is_bounded_wherever_it_stands(tmp_path: Path) -> None:
    long = b"x" * (LONGEST_LINE - 4)
    for before in range(0, 40_000, 8_000):
        head = b"prompt,completion\n" + b"a,b\n" * before
        assert validate(write(tmp_path, head + long + b",y\n"), name="a.csv").fault_count == 0
        report = validate(write(tmp_path, head + long + b"xx,y\na,b\n"), name="a.csv")
        assert [(fault.line, fault.message[:17]) for fault in report.faults] == [(before + 2, "a row longer than")]
