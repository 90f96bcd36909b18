"""Shorthand for tests: graders from plain objects, and what they make of a few samples."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from pydantic import TypeAdapter

from core.specs.asking import Reply
from core.specs.graders import AnyGrader, Grader
from graders import sandbox
from graders.outcome import Outcome
from graders.sample import Sample
from graders.score import Scorer

GRADER: TypeAdapter[AnyGrader] = TypeAdapter(Grader)


def grader(type: str, **options: Any) -> AnyGrader:
    return GRADER.validate_python({"type": type, "name": "a", **options})


def nobody(questions: Sequence[Any]) -> list[Reply]:
    raise AssertionError(f"nothing is to be asked, but {questions} was")


def outcome(graded: AnyGrader, text: str, **item: Any) -> Outcome:
    """Of one answer to a row with these keys, by a grader that asks nobody."""
    with Scorer(nobody) as scorer:
        return scorer.score(graded, [Sample(output_text=text, item=item)])[0]


def reward(graded: AnyGrader, text: str, **item: Any) -> float:
    found = outcome(graded, text, **item)
    assert found.errors.details == []
    return found.reward


def need_full_sandbox() -> None:
    """Without bubblewrap the test is skipped, and fails with CI=true."""
    if (why := sandbox.missing()) is not None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"there is no full sandbox: {why}")


@contextmanager
def without_bubblewrap() -> Iterator[None]:
    """A PATH in which it is not found."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "/nowhere")
        sandbox._tried.cache_clear()  # pyright: ignore[reportPrivateUsage]
        yield
    sandbox._tried.cache_clear()  # pyright: ignore[reportPrivateUsage]
