"""What `jobs samples` shows of a reward model."""

import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from tunesmith import samples


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
    rows = samples.load_comparisons(path)
    assert samples.are_comparisons(path)
    assert samples.accuracy(rows) == ((1 / 2 + 0) / 2, (1 / 2 + 1) / 2)
    console = Console(file=StringIO(), width=100)
    console.print(samples.table_of_scores(rows))
    assert "answer 2" in (text := console.file.getvalue())  # pyright: ignore[reportAttributeAccessIssue]
    assert "-0.500" in text


def test_completions_are_no_comparisons(tmp_path: Path) -> None:
    file = tmp_path / "samples.jsonl"
    file.write_text(json.dumps({"row": 0, "prompt": [], "expected": "a", "before": "b", "after": "a"}) + "\n")
    assert not samples.are_comparisons(file)
    assert samples.exact_match(samples.load(file)) == (0, 1)
