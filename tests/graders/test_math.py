"""Equivalence of answers, and a child that does not survive everything that it is asked."""

import os
import time
from contextlib import suppress

import pytest

from graders.equivalence import Equivalence
from graders.outcome import Failure
from tests.graders.grading import grader, outcome, reward

MATH = grader("math", reference="{{ item.answer }}")


@pytest.mark.parametrize(
    ("answer", "reference", "right"),
    [
        ("The train travels 150 miles.", "150", True),
        ("The train travels 151 miles.", "150", False),
        ("So it is $\\frac{1}{2}$.", "0.5", True),
        ("0.5", "\\frac{1}{2}", True),
        ("\\boxed{\\frac{3}{6}}", "$\\frac12$", True),
        ("\\boxed{7}, which is not 8.", "7", True),
        ("1,000", "1000", True),
        ("50%", "0.5", True),
        ("$(x+1)^2$", "x^2+2x+1", True),
        ("(x+1)^2", "x^2+2x+1", True),
        ("$x^2+1$", "x^2+2x+1", False),
        ("$\\{2, 1\\}$", "$\\{1, 2\\}$", True),
        ("$(1, 2)$", "(1,2)", True),
        ("$(2, 1)$", "(1,2)", False),
        ("$\\sqrt{8}$", "2\\sqrt{2}", True),
        ("I do not know.", "150", False),
        ("", "150", False),
    ],
)
def test_equivalence(answer: str, reference: str, right: bool) -> None:
    assert reward(MATH, answer, answer=reference) == right


def test_a_reference_that_is_no_mathematics_is_told() -> None:
    found = outcome(MATH, "1", answer="")
    assert (found.reward, found.errors.other_error) == (0, True)
    assert found.errors.details[0].startswith("reference: the reference is no number and no formula: ''")


@pytest.mark.parametrize(
    "answer", ["$9^{9^{9^{9}}}$", "$10^{10^{10}}$", "$((((2!)!)!)!)!^{99!}$", "$" + "(" * 5000 + "$"]
)
def test_formulas_that_take_all_time_and_memory_lose_only_themselves(answer: str) -> None:
    started = time.monotonic()
    with Equivalence(seconds=20) as equivalence:
        with suppress(Failure):  # either way it is not right
            assert not equivalence.equal(answer, "$3^{7}$")
        assert equivalence.equal("2187", "$3^{7}$")
    assert time.monotonic() - started < 120


def test_a_child_that_hangs_is_killed_and_replaced() -> None:
    with Equivalence(seconds=0.5) as equivalence:
        assert equivalence.equal("1", "1")
        assert equivalence.child is not None
        first = equivalence.child.pid
        os.kill(first, 19)  # SIGSTOP: as one that is busy for ever
        with pytest.raises(Failure, match="too much time"):
            equivalence.equal("1", "1")
        with pytest.raises(ProcessLookupError):
            os.kill(first, 0)
        equivalence.seconds = 30
        assert equivalence.equal("1", "1")
        assert equivalence.child.pid != first


def test_the_child_has_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNESMITH_DATABASE_URL", "hidden")
    with Equivalence() as equivalence:
        assert equivalence.equal("1", "1")
        assert equivalence.child is not None
        with open(f"/proc/{equivalence.child.pid}/environ") as environ:
            assert "TUNESMITH" not in environ.read()
