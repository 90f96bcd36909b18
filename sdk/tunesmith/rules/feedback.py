# pyright: standard, reportMissingImports=false
# Copied from core/rows/feedback.py by sdk/tools/copy_core.py: change it there.
"""Feedback, the rows of KTO: a prompt, an answer, and whether it was liked."""

from dataclasses import dataclass
from typing import Any, ClassVar

from tunesmith.rules.chat import Chat, match_calls
from tunesmith.rules.error import RowError
from tunesmith.rules.preference import to_answer, to_prompt
from tunesmith.rules.values import kind_of, only_keys

KEYS = ("prompt", "completion", "label")  # the first two each a text, or a list of messages


@dataclass(frozen=True)
class Feedback:
    """A chat whose last message alone is learnt from. label: whether it is desirable."""

    sides: ClassVar[tuple[str | None, ...]] = (None,)

    chat: Chat
    label: bool

    @property
    def chats(self) -> tuple[Chat, ...]:
        return (self.chat,)


def to_feedback(number: int, row: dict[str, Any]) -> Feedback:
    """A row with a label.

    Raises:
        RowError: it is no feedback.
    """
    only_keys(number, row, allowed=KEYS)
    prompt = to_prompt(number, row.get("prompt"), "prompt")
    answer = to_answer(number, row.get("completion"), "completion")
    match_calls(number, [*prompt, answer], None, at="prompt", last="completion")
    label = row["label"]
    if not isinstance(label, bool):
        given = f"{label!r:.60}" if isinstance(label, str) and label else kind_of(label)
        raise RowError(number, "label", f"true or false is needed, not {given}")
    return Feedback(Chat([*prompt, answer]), label)
