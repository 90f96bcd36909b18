"""The rows that docs/data-formats.md shows are rows that validation accepts, and its figures are the code's."""

import json
import re
from pathlib import Path

from core.rows import jsonl, parquet, personal, sketch
from core.rows.features import REFUSALS
from core.rows.kinds import Kind
from core.rows.validate import validate
from core.specs.method import USABLE_KINDS


def test_examples_are_valid(repository_root: Path, tmp_path: Path) -> None:
    text = (repository_root / "docs/data-formats.md").read_text()
    kinds: list[Kind | None] = []
    for language, block in re.findall(r"```(json|csv)\n(.*?)```", text, re.DOTALL):
        path = tmp_path / "rows"
        path.write_text(json.dumps(json.loads(block)) + "\n" if language == "json" else block)
        report = validate(path)
        assert report.faults == [], block
        kinds.append(report.kind)
    pairs = ["prompt_completion", "instruction_response", "instruction_response"]
    compared = ["preference", "prompt_chosen_rejected", "margin", "ranking"]
    assert kinds == [
        "messages",
        "messages",
        *pairs,
        "reasoning",
        "prompt",
        "problem",
        *compared,
        "feedback",
        "feedback",
        "text",
    ]


def test_limits_and_lists_are_those_of_the_code(repository_root: Path) -> None:
    text = (repository_root / "docs/data-formats.md").read_text()
    mib = 1024 * 1024
    assert f"a Parquet row as JSON | {jsonl.LONGEST_LINE // mib} MiB" in text
    assert f"{jsonl.HIGHEST_RATIO} times its size, or {jsonl.SMALL // mib} MiB if" in text
    assert f"{jsonl.MOST_DECODED // 1024**3} GiB | bombs; an empty row counts for {jsonl.LEAST_ROW} bytes" in text
    assert f"Parquet metadata | {parquet.MOST_FOOTER // mib} MiB" in text
    assert f"more than {sketch.MOST_SIGNATURES:,} longer" in text
    assert f"more than {sketch.MOST_HASHES:,} distinct" in text
    assert all(f"`{category}`" in text for category in personal.CATEGORIES)
    assert all(
        f"`{method}` | {', '.join(f'`{kind}`' for kind in kinds)} |" in text for method, kinds in USABLE_KINDS.items()
    )
    assert all(f"`{phrase}`" in " ".join(text.split()) for phrase in REFUSALS)
