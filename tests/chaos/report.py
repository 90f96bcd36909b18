"""The table of a round."""

from collections import Counter

from tests.chaos.checker import Record, Violation, of_kind, recoveries
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
    return "\n".join([*lines, *_not_run(history), *_died(history), *_found(outcome.violations)])


def _not_run(history: list[Record]) -> list[str]:
    return [
        f"not run: fault {record['fault']}, {record['variant']} ({record['why']})"
        for record in of_kind(history, "skipped")
    ]


def _died(history: list[Record]) -> list[str]:
    died = Counter(record["name"] for record in of_kind(history, "died"))
    return [f"ended by itself, and was started again: {name}, {count} times" for name, count in sorted(died.items())]


def _found(violations: list[Violation]) -> list[str]:
    return [f"VIOLATION {violation}" for violation in violations] or ["no violation"]
