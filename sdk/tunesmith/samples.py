"""Did it get better? A job's samples: completions of validation rows, before and after."""

from pathlib import Path

from pydantic import BaseModel
from rich.table import Table
from rich.text import Text

from tunesmith.text import printable


class Sample(BaseModel):
    row: int
    prompt: list[dict[str, str]]
    expected: str
    before: str
    after: str


def load(path: str | Path) -> list[Sample]:
    """Read the artifact `samples.jsonl`."""
    return [Sample.model_validate_json(line) for line in Path(path).read_text().splitlines() if line]


def exact_match(samples: list[Sample]) -> tuple[float, float]:
    """(before, after): the fraction of completions that equal the expected text, surrounding white space aside."""
    total = max(1, len(samples))
    before = sum(sample.before.strip() == sample.expected.strip() for sample in samples)
    after = sum(sample.after.strip() == sample.expected.strip() for sample in samples)
    return before / total, after / total


def table(samples: list[Sample], *, longest: int = 200) -> Table:
    """All samples, right answers in green; cells longer than `longest` characters are cut."""
    shown = Table("row", "expected", "before", "after", show_lines=True)
    for sample in samples:
        expected = sample.expected.strip()
        cells = [_cell(text, expected, longest) for text in (sample.before, sample.after)]
        shown.add_row(str(sample.row), _cell(expected, "", longest), *cells)
    return shown


def _cell(text: str, expected: str, longest: int) -> Text:
    text = printable(text.strip())
    short = text if len(text) <= longest else f"{text[: longest - 1]}…"
    return Text(short, style="green" if expected and text == expected else "")
