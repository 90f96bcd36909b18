"""Documents: rows with a text, and plain texts, which are read in pieces."""

import json
from datetime import datetime
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.rows import read, text
from core.rows.error import RowError
from core.rows.kinds import to_row
from core.rows.survey import Survey
from core.rows.text import END_OF_DOCUMENT, PIECE, Text, pieces
from core.rows.validate import validate


def documents(path: Path) -> list[str]:
    found = [""]
    for _, piece in pieces(path):
        assert piece.begins == (not found[-1])
        found[-1] += piece.text
        if piece.ends:
            found.append("")
    assert found.pop() == ""
    return found


def test_a_row_is_its_text_whatever_else_it_has() -> None:
    assert to_row(1, {"text": "Once.", "url": "x", "meta": {"a": 1}}) == Text("Once.")


@pytest.mark.parametrize(("row", "field"), [({"text": " \n"}, "text"), ({"text": 3}, "text"), ({"text": None}, "text")])
def test_a_row_without_text_is_a_fault(row: dict[str, object], field: str) -> None:
    with pytest.raises(RowError) as caught:
        to_row(7, row)
    assert (caught.value.line, caught.value.field) == (7, field)


def test_other_rows_with_a_key_text_stay_what_they_are(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"prompt": "a", "completion": "b", "text": "c"}) + "\n")
    report = validate(path)
    assert (report.kind, report.faults[0].field) == ("prompt_completion", "text")


@pytest.mark.parametrize(
    ("name", "content", "rows"),
    [
        ("corpus.jsonl", '{"text": "One."}\n{"text": "Two.", "id": 5}\n', 2),
        ("corpus.csv", "id,text\n1,One.\n2,Two.\n", 2),
        ("corpus.txt", "[1] is what a plain text says\n", 1),
        ("corpus.txt", "prompt,completion\na,b\n", 1),
        ("corpus.txt", f"One.\n{END_OF_DOCUMENT}\n\n{END_OF_DOCUMENT}\nTwo.", 2),
    ],
)
def test_formats(tmp_path: Path, name: str, content: str, rows: int) -> None:
    path = tmp_path / name
    path.write_text(content)
    report = validate(path, survey=Survey())
    assert report.faults == []
    assert (report.kind, report.rows) == ("text", rows)
    assert report.format == path.suffix[1:]
    assert sum(row.ends for _, row in read.rows(path) if isinstance(row, Text)) == rows


def test_of_a_parquet_file_of_documents_the_text_alone_is_read(tmp_path: Path) -> None:
    path = tmp_path / "corpus.parquet"
    others = {"fetched": [datetime(2026, 1, 1)] * 2, "digest": [b"a", b"b"], "label": ["x", "y"], "score": [0.5, None]}
    pyarrow.parquet.write_table(pyarrow.table({"text": ["One.", "Two."], **others}), path)
    report = validate(path, survey=Survey())
    assert (report.format, report.kind, report.rows, report.faults) == ("parquet", "text", 2, [])
    assert [row for _, row in read.rows(path)] == [Text("One."), Text("Two.")]
    pyarrow.parquet.write_table(pyarrow.table({"text": ["One.", None]}), path)
    assert [(fault.line, fault.field) for fault in validate(path).faults] == [(2, "")]


def test_what_is_no_text_is_told_by_its_line(tmp_path: Path) -> None:
    for content, line in ((b"good\nbad \xff\n", 1), (b"a\0b", 1), (b" \n\n", 1)):
        path = tmp_path / "corpus.txt"
        path.write_bytes(content)
        report = validate(path)
        assert [fault.line for fault in report.faults] == [line]


def test_a_large_text_comes_in_pieces_that_end_with_lines(tmp_path: Path) -> None:
    path = tmp_path / "large.txt"
    content = "".join(f"line {i} says something that is not very long\n" for i in range(10_000)) + "x" * (3 * PIECE)
    path.write_text(content)
    found = list(pieces(path))
    assert "".join(piece.text for _, piece in found) == content
    assert [piece.ends for _, piece in found] == [False] * (len(found) - 1) + [True]
    assert [piece.begins for _, piece in found] == [True] + [False] * (len(found) - 1)
    assert all(piece.text.endswith("\n") for _, piece in found[:3])
    assert max(len(piece.text) for _, piece in found) <= 3 * PIECE
    assert [number for number, piece in found] == sorted(number for number, _ in found)


@given(
    documents_=st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40), max_size=8
    ),
    piece=st.integers(16, 64),
)
def test_however_it_is_cut_the_documents_are_the_same(
    tmp_path_factory: pytest.TempPathFactory, documents_: list[str], piece: int
) -> None:
    kept = [document for document in documents_ if document.strip() and END_OF_DOCUMENT not in document]
    path = tmp_path_factory.mktemp("text") / "corpus.txt"
    path.write_bytes(f"\n{END_OF_DOCUMENT}\n".join(kept).encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "PIECE", piece)
        found = documents(path)
    expected = [document if i == len(kept) - 1 else f"{document}\n" for i, document in enumerate(kept)]
    assert found == [document.lstrip("\ufeff").lstrip() for document in expected]


def test_jsonl_may_be_named_as_text(tmp_path: Path) -> None:
    path = tmp_path / "rows.txt"
    path.write_text('{"prompt": "a", "completion": "b"}\n')
    assert (validate(path).format, validate(path).kind) == ("jsonl", "prompt_completion")


def test_corpora_may_have_labels(tmp_path: Path) -> None:
    path = tmp_path / "corpus.jsonl"
    path.write_text('{"text": "A film.", "label": 1}\n')
    assert (validate(path).kind, validate(path).faults) == ("text", [])
