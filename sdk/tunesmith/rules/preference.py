# pyright: standard, reportMissingImports=false
# Copied from core/rows/preference.py by sdk/tools/copy_core.py: change it there.
"""Preferences, the rows of DPO: a prompt, an answer, and one that it is preferred to."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from tunesmith.rules import tools
from tunesmith.rules.chat import Chat, Message, Tools, match_calls, to_message
from tunesmith.rules.error import EmptyAnswer, RowError
from tunesmith.rules.values import kind_of, only_keys

# preference: the contract's `{"input": {"messages": […], "tools"?: […]}, "preferred_output": […], …}`.
# prompt_chosen_rejected: each a text, or a list of messages.
PREFERENCES = {
    "preference": ("input", "preferred_output", "non_preferred_output"),
    "prompt_chosen_rejected": ("prompt", "chosen", "rejected"),
}
PairKind = Literal["preference", "prompt_chosen_rejected"]
INPUT_KEYS = ("messages", "tools", "parallel_tool_calls")


@dataclass(frozen=True)
class Preference:
    """Two chats that differ in their last messages, which alone are learnt from: a ranking of two, without a margin."""

    sides: ClassVar[tuple[str, ...]] = ("chosen", "rejected")
    ranks: ClassVar[tuple[int, ...]] = (1, 2)
    margin: ClassVar[float] = 0.0

    chosen: Chat
    rejected: Chat

    @property
    def chats(self) -> tuple[Chat, ...]:
        return self.chosen, self.rejected


def pair_kind(row: dict[str, Any]) -> PairKind:
    """Which of PREFERENCES a pair is, by its keys alone."""
    contract = "preferred_output" in row or "non_preferred_output" in row
    return "preference" if contract else "prompt_chosen_rejected"


def to_preference(number: int, row: dict[str, Any], *, kind: str) -> Preference:
    """A row of one of the two kinds.

    Raises:
        RowError: it is no preference.
    """
    prompt_key, chosen_key, rejected_key = keys = PREFERENCES[kind]
    only_keys(number, row, allowed=keys)
    if kind == "preference":
        at = "input.messages"
        prompt, offered = _input(number, row.get(prompt_key))
    else:
        at = prompt_key
        prompt, offered = to_prompt(number, row.get(prompt_key), prompt_key), None
    chosen, rejected = (to_answer(number, row.get(key), key) for key in (chosen_key, rejected_key))
    if same(chosen, rejected):
        raise RowError(number, rejected_key, f"is the same as {chosen_key}: there is nothing to prefer")
    for answer, key in ((chosen, chosen_key), (rejected, rejected_key)):
        match_calls(number, [*prompt, answer], offered, at=at, last=key)
    return Preference(Chat([*prompt, chosen], offered), Chat([*prompt, rejected], offered))


def _input(number: int, value: Any) -> tuple[list[Message], Tools]:
    if not isinstance(value, dict):
        raise RowError(number, "input", f"an object with messages is needed, not {kind_of(value)}")
    only_keys(number, value, allowed=INPUT_KEYS, at="input")
    parallel = value.get("parallel_tool_calls")
    if parallel is not None and not isinstance(parallel, bool):
        raise RowError(number, "input.parallel_tool_calls", f"true or false is needed, not {kind_of(parallel)}")
    return _messages(number, value.get("messages"), "input.messages"), tools.offered(number, value.get("tools"))


def to_prompt(number: int, value: Any, field: str) -> list[Message]:
    """What an answer comes behind: a user's text, or messages, none of which is learnt.

    Raises:
        RowError: it is neither, or ends with an assistant's message.
    """
    return [Message("user", value)] if isinstance(value, str) else _messages(number, value, field)


def _messages(number: int, value: Any, field: str) -> list[Message]:
    if not isinstance(value, list) or not value:
        raise RowError(number, field, f"a list of at least one message is needed, not {kind_of(value)}")
    messages = [to_message(number, item, f"{field}[{i}]") for i, item in enumerate(value)]
    if messages[-1].role == "assistant":
        raise RowError(number, field, "ends with an assistant's message: an answer comes behind it")
    return [replace(message, trained=False) for message in messages]


def same(one: Message, other: Message) -> bool:
    """Whether nothing can be preferred: many templates strip white space around a content."""
    return one.content.strip() == other.content.strip() and replace(one, content="") == replace(other, content="")


def to_answer(number: int, value: Any, field: str) -> Message:
    """An assistant's text, or a list of its one message.

    Raises:
        RowError: it is neither, or says nothing that could be learnt.
    """
    if isinstance(value, str):
        if not value.strip():
            raise EmptyAnswer(number, field, "is empty: there is nothing to learn")
        return Message("assistant", value, trained=True)
    if not isinstance(value, list) or len(value) != 1:
        given = f"{len(value)} messages" if isinstance(value, list) and value else kind_of(value)
        raise RowError(number, field, f"a list of one assistant message is needed, not {given}")
    message = to_message(number, value[0], f"{field}[0]")
    if not message.trained:
        raise RowError(number, f"{field}[0]", "an assistant's message is needed, and no weight 0")
    return message
