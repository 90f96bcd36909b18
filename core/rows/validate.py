"""The verdict on an uploaded training file, and the report about its rows, in one pass."""

from dataclasses import dataclass, field
from os import PathLike
from typing import TYPE_CHECKING, Any

from core.rows.csvfile import Table
from core.rows.error import EmptyAnswer, RowError
from core.rows.fast import plain_row, plain_rows
from core.rows.features import Features, row_features
from core.rows.formats import Format, detect
from core.rows.jsonl import Lines
from core.rows.kinds import Kind, row_kind, to_row
from core.rows.prompt import PROMPTS, Prompt
from core.rows.read import Block, Raw, decoded, raw_blocks
from core.rows.text import pieces

if TYPE_CHECKING:
    from core.rows.survey import Survey  # it needs numpy, which a verdict alone does not

MOST_FAULTS = 20
LONGEST_WORDS = 300  # characters of a fault
MOST_KEYS = 100  # of prompts, that are told
LONGEST_KEY = 64  # characters


@dataclass
class Report:
    """rows: how many were read. faults: the first of them. fault_count: all of them.

    format, kind: None where the file shows none. kind is that of the first row, and of all in a file without faults.
    keys: those that any prompt has; None where they are too many or too odd to be told.
    """

    format: Format | None = None
    kind: Kind | None = None
    rows: int = 0
    faults: list[RowError] = field(default_factory=list)
    fault_count: int = 0
    keys: set[str] | None = field(default_factory=set[str])
    survey: "Survey | None" = None

    def add(self, fault: RowError) -> None:
        self.fault_count += 1
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(RowError(fault.line, _shown(fault.field), _shown(fault.message)))

    def add_keys(self, prompt: Prompt) -> None:
        if self.keys is None or prompt.item.keys() <= self.keys:
            return
        self.keys |= prompt.item.keys()
        if len(self.keys) > MOST_KEYS or not all(key.isprintable() and len(key) <= LONGEST_KEY for key in self.keys):
            self.keys = None

    def figures(self) -> dict[str, Any]:
        """The report as it is kept with the file; call it once, and of a validation with a survey."""
        assert self.survey is not None
        faults = [{"line": fault.line, "field": fault.field, "message": fault.message} for fault in self.faults]
        return {
            "format": self.format,
            "kind": self.kind,
            "rows": self.rows,
            "keys": sorted(self.keys) if self.keys is not None and self.kind in PROMPTS else None,
            "faults": faults,
            "fault_count": self.fault_count,
            **self.survey.figures(),
        }


def validate(path: str | PathLike[str], *, name: str | None = None, survey: "Survey | None" = None) -> Report:
    """Read a file of rows in one pass, report every row that can't be used, and survey those that can.

    Args:
        name: what its author called it; makes faults clearer, decides nothing.
        survey: gathers what the rows are like; None: the verdict alone.
    """
    report = Report(survey=survey)
    try:
        report.format = detect(path, name=name)
        if report.format == "txt":
            _add_text(report, path)
            return report
        for block in raw_blocks(path, report.format):
            if report.kind and isinstance(block, Lines | Table) and (plain := plain_rows(block, report.kind)):
                report.rows += len(plain)
                if survey:
                    survey.extend(block.first, plain)
            else:
                _judge(report, block)
    except RowError as fault:
        report.add(fault)
    if report.rows == 0 and not report.faults:
        report.add(RowError(1, "", "the file has no rows"))
    return report


def _add_text(report: Report, path: str | PathLike[str]) -> None:
    """A plain text: rows are its documents, and its pieces are what is surveyed."""
    report.kind = "text"
    for number, piece in pieces(path):
        report.rows += piece.ends
        if report.survey:
            report.survey.add(number, row_features(piece))
    if report.rows == 0:
        report.add(RowError(1, "", "the file has no text"))


def _judge(report: Report, block: Block) -> None:
    """Row by row, as some of them need."""
    for number, raw in block:
        report.rows += 1
        try:
            row = _features(report, number, raw)
            if report.survey:
                report.survey.add(number, row)
        except RowError as fault:
            if report.survey:
                report.survey.empty_answers += isinstance(fault, EmptyAnswer)
            report.add(fault)


def _features(report: Report, number: int, raw: Raw) -> Features:
    """Raises RowError where the row can't be used."""
    if report.kind and not isinstance(raw, RowError):
        plain = plain_row(raw, report.kind)
        if plain is not None:
            return plain
    row = decoded(number, raw)
    kind = row_kind(number, row)
    report.kind = report.kind or kind
    if kind != report.kind and {kind, report.kind} != {"messages", "prompt"}:
        raise RowError(
            number, "", f"is of the form {kind}, but the first row is {report.kind}: a file has rows of one form"
        )
    # Chats that end with a user's message are prompts among prompts; of what is neither, the fault says more.
    read = to_row(number, row, kind=report.kind)
    if isinstance(read, Prompt):
        report.add_keys(read)
    return row_features(read)


def _shown(text: str) -> str:
    """Words that quote a file, fit for a log, a terminal and a database, which knows no NUL."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text[:LONGEST_WORDS])
