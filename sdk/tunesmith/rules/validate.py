# pyright: standard
# Copied from core/rows/validate.py by sdk/tools/copy_core.py: change it there.
"""The verdict on an uploaded training file."""

from dataclasses import dataclass, field
from os import PathLike

from tunesmith.rules.chat import parse_chat
from tunesmith.rules.error import RowError
from tunesmith.rules.jsonl import Readable, iterate

MOST_FAULTS = 20


@dataclass
class Report:
    """rows: how many were read. faults: the first of them. fault_count: all of them."""

    rows: int = 0
    faults: list[RowError] = field(default_factory=list)
    fault_count: int = 0

    def add(self, fault: RowError) -> None:
        self.fault_count += 1
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(fault)


def validate(source: str | PathLike[str] | Readable) -> Report:
    """Read a JSONL file of chats in one pass and report every row that can't be used."""
    report = Report()
    try:
        for number, line in iterate(source):
            report.rows += 1
            try:
                parse_chat(number, line)
            except RowError as fault:
                report.add(fault)
    except RowError as fault:
        report.add(fault)
    if report.rows == 0 and not report.faults:
        report.add(RowError(1, "", "the file has no rows"))
    return report
