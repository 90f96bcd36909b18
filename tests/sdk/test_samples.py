"""What `jobs samples` shows, of models that write and of reward models."""

import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from tunesmith import samples

from tests.sdk.conftest import Answer, Script
from tests.sdk.test_cli import cli


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Two pairs in the first row, whose responses of the same rank are none, and one in the second."""
    scores = [[(1, 0.0, 2.0), (2, 1.0, 1.0), (2, -1.0, 3.0)], [(1, 0.5, 0.5), (2, 0.5, -0.5)]]
    lines = [
        {
            "row": i,
            "prompt": [{"role": "user", "content": "2+2?"}],
            "responses": [{"text": f"answer {r}", "rank": r, "before": b, "after": a} for r, b, a in row],
        }
        for i, row in enumerate(scores)
    ]
    file = tmp_path / "samples.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def test_all_rows_count_alike_however_many_pairs_they_have(path: Path) -> None:
    rows = samples.load(path)
    assert samples.figures(rows)["accuracy"] == samples.accuracy(rows) == ((1 / 2 + 0) / 2, (1 / 2 + 1) / 2)
    console = Console(file=StringIO(), width=100)
    console.print(samples.table(rows))
    assert "answer 2" in (text := console.file.getvalue())  # pyright: ignore[reportAttributeAccessIssue]
    assert "-0.500" in text


def test_what_a_blank_model_says_is_shown_beside_its_prompt_and_matches_nothing(tmp_path: Path) -> None:
    lines = [
        {"row": 0, "prompt": "Once upon a time", "after": "q z"},
        {"row": 1, "prompt": [{"role": "user", "content": "2+2?"}], "expected": "4", "before": "5", "after": "4"},
    ]
    file = tmp_path / "samples.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    rows = samples.load(file)
    assert samples.exact_match(rows) == (0, 1)
    assert samples.exact_match(rows[:1]) == (0, 0)
    console = Console(file=StringIO(), width=100)
    console.print(samples.table(rows))
    text = console.file.getvalue()  # pyright: ignore[reportAttributeAccessIssue]
    assert all(shown in text for shown in ("Once upon a time", "q z", "2+2?"))


@pytest.mark.parametrize(("expected", "told"), [("", False), ("4", True)])
def test_the_command_tells_exact_match_where_something_is_expected(script: Script, expected: str, told: bool) -> None:
    row = {"id": "0", "row": 0, "prompt": "2+2?", "expected": expected, "before": "", "after": "4"}
    script.say(Answer(body={"object": "list", "data": [row], "has_more": False}))
    done = cli(script, "jobs", "samples", "ftjob-1")
    assert done.returncode == 0, done.stderr
    assert "2+2?" in done.stdout
    assert ("exact match: 0% → 100%" in done.stdout) == ("exact match" in done.stdout) == told


def test_a_job_without_samples_says_so(script: Script) -> None:
    script.say(Answer(body={"object": "list", "data": [], "has_more": False}))
    assert "No samples" in cli(script, "jobs", "samples", "ftjob-1").stdout
