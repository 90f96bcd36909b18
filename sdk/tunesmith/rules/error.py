# pyright: standard, reportMissingImports=false
# Copied from core/rows/error.py by sdk/tools/copy_core.py: change it there.
from dataclasses import dataclass


@dataclass(eq=False)
class RowError(Exception):
    """What is wrong with one row, in words that its author can act on.

    line: counted from 1. field: the path of the offending key, such as `messages[1].role`; empty for the whole row.
    """

    line: int
    field: str
    message: str

    def __str__(self) -> str:
        place = f"line {self.line}: {self.field}" if self.field else f"line {self.line}"
        return f"{place}: {self.message}"


class EmptyAnswer(RowError):
    """What should be learnt has no text; counted apart from other faults."""
