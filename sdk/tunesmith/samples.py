"""Did it get better? A job's samples: completions of validation rows, or their responses' scores, before and after."""

import json
from itertools import combinations
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from rich.table import Table
from rich.text import Text

from tunesmith.text import printable

FILE = "samples.jsonl"  # the artifact


class Sample(BaseModel):
    """prompt: messages, or a text that goes on. expected, before: empty of a model that was made of nothing."""

    row: int
    prompt: str | list[dict[str, Any]]
    expected: str = ""
    before: str = ""
    after: str


class Response(BaseModel):
    text: str
    rank: int
    before: float
    after: float


class Comparison(BaseModel):
    """A row that a reward model has scored, its best response first."""

    row: int
    prompt: list[dict[str, Any]]
    responses: list[Response]


def load(path: str | Path) -> list[Sample]:
    """Read the artifact `samples.jsonl` of a model that writes."""
    return [Sample.model_validate_json(line) for line in _lines(path)]


def load_comparisons(path: str | Path) -> list[Comparison]:
    """Read the artifact `samples.jsonl` of a reward model."""
    return [Comparison.model_validate_json(line) for line in _lines(path)]


def are_comparisons(path: str | Path) -> bool:
    """Whether a reward model's job wrote the artifact."""
    return any("responses" in json.loads(line) for line in _lines(path)[:1])


def _lines(path: str | Path) -> list[str]:
    return [line for line in Path(path).read_text(encoding="utf-8").split("\n") if line]


def exact_match(samples: list[Sample]) -> tuple[float, float]:
    """(before, after): the fraction of completions that equal the expected text, surrounding white space aside.

    Of the samples that have such a text; 0 where none has.
    """
    asked = [sample for sample in samples if sample.expected.strip()]
    total = max(1, len(asked))
    before = sum(sample.before.strip() == sample.expected.strip() for sample in asked)
    after = sum(sample.after.strip() == sample.expected.strip() for sample in asked)
    return before / total, after / total


def accuracy(comparisons: list[Comparison]) -> tuple[float, float]:
    """(before, after): the fraction of pairs whose better response has the higher score, all rows alike."""
    before, after = 0.0, 0.0
    for row in comparisons:
        pairs = [(a, b) for a, b in combinations(row.responses, 2) if a.rank < b.rank]
        before += sum(a.before > b.before for a, b in pairs) / len(pairs)
        after += sum(a.after > b.after for a, b in pairs) / len(pairs)
    total = max(1, len(comparisons))
    return before / total, after / total


def table_of_scores(comparisons: list[Comparison], *, longest: int = 200) -> Table:
    """All responses with their scores; texts longer than `longest` characters are cut."""
    shown = Table("row", "rank", "response", "before", "after", show_lines=True)
    for row in comparisons:
        for response in row.responses:
            scores = (f"{response.before:.3f}", f"{response.after:.3f}")
            shown.add_row(str(row.row), str(response.rank), _cell(response.text, "", longest), *scores)
    return shown


def table(samples: list[Sample], *, longest: int = 200) -> Table:
    """All samples, right answers in green; cells longer than `longest` characters are cut."""
    shown = Table("row", "prompt", "expected", "before", "after", show_lines=True)
    for sample in samples:
        expected = sample.expected.strip()
        cells = [_cell(text, expected, longest) for text in (sample.before, sample.after)]
        shown.add_row(str(sample.row), *(_cell(text, "", longest) for text in (_asked(sample), expected)), *cells)
    return shown


def _asked(sample: Sample) -> str:
    """What the prompt ends with: the messages before its last one are seldom what tells rows apart."""
    if isinstance(sample.prompt, str):
        return sample.prompt
    return str(sample.prompt[-1].get("content") or "") if sample.prompt else ""


def _cell(text: str, expected: str, longest: int) -> Text:
    text = printable(text.strip())
    short = text if len(text) <= longest else f"{text[: longest - 1]}…"
    return Text(short, style="green" if expected and text == expected else "")
