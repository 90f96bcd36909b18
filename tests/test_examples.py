"""The example data are what their documents say."""

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from core.rows.read import rows as read_rows


@pytest.fixture
def folder(repository_root: Path) -> Path:
    return repository_root / "examples" / "order-emails"


def answers(path: Path) -> list[dict[str, Any]]:
    return [json.loads(row.chats[0].messages[-1].content) for _, row in read_rows(path)]


@pytest.mark.parametrize(
    "name",
    ["order-emails", "short-stories", "support-chats", "support-feedback", "support-preferences", "support-rankings"],
)
def test_the_rows_are_those_that_the_script_writes(repository_root: Path, name: str, tmp_path: Path) -> None:
    folder = repository_root / "examples" / name
    runpy.run_path(str(folder / "make.py"))["main"](tmp_path)
    written = sorted(path.name for path in tmp_path.iterdir())
    assert {"train.jsonl", "validation.jsonl"} <= set(written)
    for name in written:
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


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
