"""docs/graders.md shows graders that can be used, every type with its keys, and the limits of the code."""

import json
import re
from pathlib import Path
from typing import get_args

import pytest

from api import grading
from core.specs import formula
from core.specs.grader_template import SAMPLE_KEYS
from core.specs.graders import MOST_SOURCE, Metric, MultiGrader, Part
from graders import equivalence, monty, process, sandbox, text
from tests.graders.grading import GRADER


@pytest.fixture
def page(repository_root: Path) -> str:
    return (repository_root / "docs" / "graders.md").read_text()


def test_examples_are_graders(page: str) -> None:
    found = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    assert found
    for block in found:
        GRADER.validate_python(json.loads(block))


def test_every_type_key_metric_function_and_reference_is_there(page: str) -> None:
    for kind in (*get_args(get_args(Part)[0]), MultiGrader):
        name = get_args(kind.model_fields["type"].annotation)[0]
        row = next(line for line in page.splitlines() if line.startswith(f"| `{name}` |"))
        for key in set(kind.model_fields) - {"type", "name", "image_tag"}:
            assert f"`{key}`" in row, (name, key)
    assert all(f"`{metric}`" in page for metric in get_args(Metric) if metric not in ("rouge_2", "rouge_3", "rouge_4"))
    assert all(f"`{name}`" in page for name in formula.FUNCTIONS)
    assert all(f"{{{{ sample.{key} }}}}" in page for key in SAMPLE_KEYS)


def test_limits_are_those_of_the_code(page: str) -> None:
    gib = 1024**3
    assert f"({formula.LONGEST:,} characters, {formula.DEEPEST} levels)" in page
    assert f"longer than {text.MOST_COMPARED:,} characters" in page
    assert f"{MOST_SOURCE // 1024} KiB of source at most" in page
    assert f"{monty.MEMORY // 1024**2} MiB of values | {sandbox.MEMORY // gib} GiB of address space" in page
    assert f"has 2 GiB and {equivalence.SECONDS:.0f} seconds a pair" in page
    assert f"of 4 GiB and {process.WALL_SECONDS:.0f} seconds" in page
    assert (grading.AT_ONCE, f"more than {grading.PATIENCE:.0f} seconds is told 503" in page) == (2, True)
