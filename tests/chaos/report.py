"""The table of a round."""

import os
from collections import Counter

from tests.chaos.checker import Violation
from tests.chaos.history import Record, of_kind
from tests.chaos.recoveries import recoveries
from tests.chaos.rounds import Outcome

HEADER = ("", "fault", "injected", "jobs", "lost", "doubled", "corrupt", "longest recovery")
LINE = "{:>2}  {:<40} {:>8} {:>5} {:>5} {:>8} {:>8}  {:>16}"


def table(outcome: Outcome) -> str:
    """What was injected under which fault, how many jobs were about, and what became of them."""
    history = outcome.history
    fault_of = {record["job"]: record["fault"] for record in of_kind(history, "acknowledged")}
    fault_of |= {record["key"]: record["fault"] for record in of_kind(history, "attempted")}
    fault_of |= {f"{record['key']}.jsonl": record["fault"] for record in of_kind(history, "attempted")}
    fault_of |= {record["file"]: fault_of.get(record["key"]) for record in of_kind(history, "stored")}
    fault_of |= {f"fault {record['fault']}": record["fault"] for record in of_kind(history, "fault")}
    costs = Counter((fault_of.get(violation.of), violation.cost) for violation in outcome.violations)
    injuries = Counter(record["fault"] for record in of_kind(history, "injury"))
    jobs = Counter(record["fault"] for record in of_kind(history, "acknowledged"))
    longest: dict[int, float] = {}
    for fault, _, seconds in recoveries(history, outcome.dump):
        longest[fault] = max(seconds, longest.get(fault, 0.0))
    lines = [LINE.format(*HEADER)]
    for record in sorted(of_kind(history, "fault"), key=lambda record: record["fault"]):
        number = record["fault"]
        figures = (costs[number, "lost"], costs[number, "doubled"], costs[number, "corrupt"])
        recovered = f"{longest[number]:.1f} s" if number in longest else "–"
        lines.append(LINE.format(number, record["title"], injuries[number], jobs[number], *figures, recovered))
    return "\n".join(
        [*lines, *_not_run(history), *_found(outcome.violations, not_run=len(of_kind(history, "skipped")))]
    )


def fails(outcome: Outcome) -> bool:
    """Whether a promise was broken. With CI=true whatever could not be run is as bad."""
    return bool(outcome.violations or (_is_ci() and of_kind(outcome.history, "skipped")))


def _is_ci() -> bool:
    return os.environ.get("CI") == "true"


def _not_run(history: list[Record]) -> list[str]:
    skipped = of_kind(history, "skipped")
    lines = [f"NOT RUN fault {record['fault']}, {record['variant']}: {record['why']}" for record in skipped]
    return [*lines, "CI=true: what was not run fails"] if lines and _is_ci() else lines


def _found(violations: list[Violation], *, not_run: int) -> list[str]:
    nothing = f"no violation in what was run, and {not_run} ways were not" if not_run else "no violation"
    return [f"VIOLATION {violation}" for violation in violations] or [nothing]
