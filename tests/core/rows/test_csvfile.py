"""Rows of CSV are what `csv` makes of them, however they are split."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.rows.csvfile import csv_blocks
from core.rows.error import RowError
from tests.core.rows.files import write


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("csv")


@settings(max_examples=500)
@given(st.text(alphabet='ab,"\r\n\0 ', max_size=24))
@example('a,"b"\n')
@example('"a,b",""\n')
@example('"a""b",c\n"a\nb",c\n')
@example('a"b"c,"d"\n')
@example('"a" ,b\n')
@example("a,b\r\r\n")
def test_cells_are_those_that_csv_finds(folder: Path, text: str) -> None:
    assert read(write(folder, f"x,y\n{text}".encode())) == plainly_read(text)


def read(path: Path) -> list[list[str]] | None:
    try:
        return [list(row.values()) for block in csv_blocks(path) for _, row in block if isinstance(row, dict)]
    except RowError:
        return None


def plainly_read(text: str) -> list[list[str]] | None:
    try:
        return [cells for cells in csv.reader(io.StringIO(text, newline="\n"), strict=True) if len(cells) == 2]
    except csv.Error:
        return None
