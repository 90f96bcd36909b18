"""The kinds of rows, known by their keys, and what each of them is read as."""

from typing import Any, Literal

from core.rows.chat import CHAT_KEYS, Chat, ChatKind, chat_kind, to_chat
from core.rows.feedback import Feedback, to_feedback
from core.rows.preference import PREFERENCES, Preference, pair_kind, to_preference
from core.rows.prompt import PROMPTS, Prompt, PromptKind, is_problem, is_prompt, to_prompt_row
from core.rows.ranking import RANKINGS, Ranking, to_ranking
from core.rows.text import TEXT_KEY, Text, to_text

Kind = Literal[ChatKind, "preference", "prompt_chosen_rejected", "margin", "ranking", "feedback", "text", PromptKind]
Row = Chat | Preference | Ranking | Feedback | Text | Prompt
# One of these makes a row with a text something else. Corpora have labels, scores and the like beside theirs.
OTHER_KEYS = {*CHAT_KEYS, "input", "chosen", "rejected", "preferred_output", "non_preferred_output", "responses"}


def row_kind(number: int, row: dict[str, Any]) -> Kind:
    """Which kind a row is of, by its keys, and of messages by who says the last one.

    Raises:
        RowError: none of them.
    """
    if "messages" in row and is_prompt(row):  # whose other keys may have any name
        return "prompt"
    if is_problem(row):
        return "problem"
    if TEXT_KEY in row and not OTHER_KEYS & row.keys():
        return "text"
    if "responses" in row:
        return "ranking"
    if "preferred_output" in row or "non_preferred_output" in row or "chosen" in row or "rejected" in row:
        return "margin" if "margin" in row else pair_kind(row)
    return "feedback" if "label" in row else chat_kind(number, row)


def to_row(number: int, row: dict[str, Any], *, kind: Kind | None = None) -> Row:
    """A row that was read from any format.

    Args:
        kind: that it is read as; None: its own.

    Raises:
        RowError: nothing can be learnt from it.
    """
    kind = kind or row_kind(number, row)
    if kind == "text":
        return to_text(number, row)
    if kind == "feedback":
        return to_feedback(number, row)
    if kind in PROMPTS:
        return to_prompt_row(number, row)
    if kind in RANKINGS:
        return to_ranking(number, row, kind=kind)
    return to_preference(number, row, kind=kind) if kind in PREFERENCES else to_chat(number, row)


def texts_of(row: Row) -> list[str]:
    """What is said in a row, for those who look at words alone."""
    if isinstance(row, Text):
        return [row.text]
    return [message.content for chat in row.chats for message in chat.messages]
