"""What a round says of itself, and when it fails."""

from typing import Any

import pytest

from tests.chaos.checker import Violation
from tests.chaos.report import fails, table
from tests.chaos.rounds import Outcome

FAULT = {"kind": "fault", "at": 1.0, "fault": 8, "title": "clock", "recovers": 60}
SKIPPED = {"kind": "skipped", "at": 2.0, "fault": 8, "variant": "train-1 +2h", "why": "faketime is not installed"}


def outcome(*history: dict[str, Any], violations: list[Violation] | None = None) -> Outcome:
    dump: dict[str, Any] = {"audit": [], "attempts": []}
    return Outcome([FAULT, *history], dump, violations or [])


@pytest.mark.parametrize("ci", ["", "true"])
def test_a_round_without_a_violation_passes(monkeypatch: pytest.MonkeyPatch, ci: str) -> None:
    monkeypatch.setenv("CI", ci)
    assert not fails(outcome())
    assert table(outcome()).splitlines()[-1] == "no violation"


@pytest.mark.parametrize("ci", ["", "true"])
def test_a_violation_fails(monkeypatch: pytest.MonkeyPatch, ci: str) -> None:
    monkeypatch.setenv("CI", ci)
    found = outcome(violations=[Violation("processes", "lost", "fault 8", "train-1 ended by itself, with status 1")])
    assert fails(found)
    assert "VIOLATION processes (lost): fault 8: train-1 ended by itself, with status 1" in table(found)


def test_a_way_that_could_not_be_run_is_named_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    assert not fails(outcome(SKIPPED))
    told = table(outcome(SKIPPED))
    assert "NOT RUN fault 8, train-1 +2h: faketime is not installed" in told
    assert "no violation in what was run, and 1 ways were not" in told
    monkeypatch.setenv("CI", "true")
    assert fails(outcome(SKIPPED))
    assert "CI=true: what was not run fails" in table(outcome(SKIPPED))
