"""The example data are what their documents say."""

import json
import runpy
from pathlib import Path
from typing import Any, get_args

import pytest

from core.rows.kinds import Kind
from core.rows.read import rows as read_rows
from core.rows.validate import validate


@pytest.fixture
def folder(repository_root: Path) -> Path:
    return repository_root / "examples" / "order-emails"


def answers(path: Path) -> list[dict[str, Any]]:
    return [json.loads(row.chats[0].messages[-1].content) for _, row in read_rows(path)]


def test_the_rows_are_those_that_the_scripts_write(repository_root: Path, tmp_path: Path) -> None:
    folders = [script.parent for script in (repository_root / "examples").glob("*/make.py")]
    assert folders
    for folder in folders:
        made = tmp_path / folder.name
        made.mkdir()
        runpy.run_path(str(folder / "make.py"))["main"](made)
        data = {path.name for path in folder.iterdir() if path.suffix in (".jsonl", ".txt")}
        assert {path.name for path in made.iterdir()} == data
        for name in data:
            assert (made / name).read_bytes() == (folder / name).read_bytes(), folder / name


def test_every_form_of_rows_has_an_example_that_the_documents_name(repository_root: Path) -> None:
    documents = (repository_root / "docs" / "data-formats.md").read_text()
    found: dict[str, Path] = {}
    for path in (repository_root / "examples").glob("*/*.jsonl"):
        report = validate(path)
        assert report.faults == [], path
        if f"(../{path.relative_to(repository_root)})" in documents:
            found[str(report.kind)] = path
    assert found.keys() == set(get_args(Kind))
    assert all(path.stem == kind for kind, path in found.items() if path.parent.name == "row-forms")


def test_no_value_of_a_validation_row_was_seen_in_training(folder: Path) -> None:
    train, validation = answers(folder / "train.jsonl"), answers(folder / "validation.jsonl")
    assert (len(train), len(validation)) == (160, 36)
    for key in ("name", "item", "quantity", "city"):
        assert not {row[key] for row in train} & {row[key] for row in validation}, key
    assert {row["urgent"] for row in train} == {row["urgent"] for row in validation} == {True, False}


def test_every_answer_can_be_read_from_its_email(folder: Path) -> None:
    for name in ("train.jsonl", "validation.jsonl"):
        for _, row in read_rows(folder / name):
            email, answer = (message.content for message in row.chats[0].messages[1:])
            order = json.loads(answer)
            assert all(str(order[key]) in email for key in ("name", "item", "quantity", "city"))
