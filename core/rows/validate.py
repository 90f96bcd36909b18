"""The verdict on an uploaded training file."""

from dataclasses import dataclass, field
from typing import BinaryIO

from core.rows.chat import parse_chat
from core.rows.fault import RowFault
from core.rows.jsonl import lines

MOST_FAULTS = 20


@dataclass
class Report:
    """rows: how many were read. faults: the first of them. fault_count: all of them."""

    rows: int = 0
    faults: list[RowFault] = field(default_factory=list)
    fault_count: int = 0

    def add(self, fault: RowFault) -> None:
        self.fault_count += 1
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(fault)


def validate(source: BinaryIO) -> Report:
    """Read a JSONL file of chats in one pass and report every row that can't be used."""
    report = Report()
    try:
        for number, line in lines(source):
            report.rows += 1
            try:
                parse_chat(number, line)
            except RowFault as fault:
                report.add(fault)
    except RowFault as fault:
        report.add(fault)
    if report.rows == 0 and not report.faults:
        report.add(RowFault(1, "", "the file has no rows"))
    return report
