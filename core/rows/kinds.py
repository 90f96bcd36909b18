"""The kinds of rows, known by their keys, and what each of them is read as."""

from typing import Any, Literal

from core.rows.chat import Chat, ChatKind, chat_kind, to_chat
from core.rows.feedback import Feedback, to_feedback
from core.rows.preference import PREFERENCES, Preference, to_preference

Kind = Literal[ChatKind, "preference", "prompt_chosen_rejected", "feedback"]
Row = Chat | Preference | Feedback


def row_kind(number: int, row: dict[str, Any]) -> Kind:
    """Which kind a row is of, by its keys alone.

    Raises:
        RowError: none of them.
    """
    if "preferred_output" in row or "non_preferred_output" in row:
        return "preference"
    if "chosen" in row or "rejected" in row:
        return "prompt_chosen_rejected"
    return "feedback" if "label" in row else chat_kind(number, row)


def to_row(number: int, row: dict[str, Any]) -> Row:
    """A row that was read from any format.

    Raises:
        RowError: nothing can be learnt from it.
    """
    kind = row_kind(number, row)
    if kind == "feedback":
        return to_feedback(number, row)
    return to_preference(number, row, kind=kind) if kind in PREFERENCES else to_chat(number, row)
