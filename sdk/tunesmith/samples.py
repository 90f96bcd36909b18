"""Did it get better? A job's samples: completions of validation rows, or their responses' scores, before and after."""

from itertools import combinations
from pathlib import Path

from rich.table import Table
from rich.text import Text

from tunesmith.text import printable
from tunesmith.types import Sample as Sample


def load(path: str | Path) -> list[Sample]:
    """Read the artifact `samples.jsonl`."""
    lines = Path(path).read_text(encoding="utf-8").split("\n")
    return [Sample.model_validate_json(line) for line in lines if line]


def exact_match(samples: list[Sample]) -> tuple[float, float]:
    """(before, after): the fraction of completions that equal the expected text, surrounding white space aside.

    Of the samples that have such a text; 0 where none has.
    """
    asked = [sample for sample in samples if sample.expected.strip()]
    total = max(1, len(asked))
    before = sum(sample.before.strip() == sample.expected.strip() for sample in asked)
    after = sum(sample.after.strip() == sample.expected.strip() for sample in asked)
    return before / total, after / total


def accuracy(samples: list[Sample]) -> tuple[float, float]:
    """(before, after): the fraction of pairs whose better response has the higher score, all rows alike."""
    before, after = 0.0, 0.0
    for row in samples:
        pairs = [(a, b) for a, b in combinations(row.responses, 2) if a.rank < b.rank]
        before += sum(a.before > b.before for a, b in pairs) / len(pairs)
        after += sum(a.after > b.after for a, b in pairs) / len(pairs)
    total = max(1, len(samples))
    return before / total, after / total


def table(samples: list[Sample], *, longest: int = 200) -> Table:
    """All samples, right answers in green, or a reward model's scores; longer cells are cut to `longest` characters."""
    if any(sample.responses for sample in samples):
        return _table_of_scores(samples, longest)
    shown = Table("row", "prompt", "expected", "before", "after", show_lines=True)
    for sample in samples:
        expected = sample.expected.strip()
        cells = [_cell(text, expected, longest) for text in (sample.before, sample.after)]
        shown.add_row(str(sample.row), *(_cell(text, "", longest) for text in (_asked(sample), expected)), *cells)
    return shown


def _table_of_scores(samples: list[Sample], longest: int) -> Table:
    shown = Table("row", "rank", "response", "before", "after", show_lines=True)
    for sample in samples:
        for response in sample.responses:
            scores = (f"{response.before:.3f}", f"{response.after:.3f}")
            shown.add_row(str(sample.row), str(response.rank), _cell(response.text, "", longest), *scores)
    return shown


def figures(samples: list[Sample]) -> dict[str, tuple[float, float]]:
    """How good it was and is, by what can be counted of these: `accuracy`, `exact match`, or nothing."""
    if any(sample.responses for sample in samples):
        return {"accuracy": accuracy(samples)}
    if any(sample.expected.strip() for sample in samples):
        return {"exact match": exact_match(samples)}
    return {}


def _asked(sample: Sample) -> str:
    """What the prompt ends with: the messages before its last one are seldom what tells rows apart."""
    if isinstance(sample.prompt, str):
        return sample.prompt
    return str(sample.prompt[-1].get("content") or "") if sample.prompt else ""


def _cell(text: str, expected: str, longest: int) -> Text:
    text = printable(text.strip())
    short = text if len(text) <= longest else f"{text[: longest - 1]}…"
    return Text(short, style="green" if expected and text == expected else "")
