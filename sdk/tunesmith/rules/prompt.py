# pyright: standard, reportMissingImports=false
# Copied from core/rows/prompt.py by sdk/tools/copy_core.py: change it there.
"""Prompts, the rows of reinforcement learning: what is asked, and whatever a grader has to know of the answer."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from tunesmith.rules import tools
from tunesmith.rules.chat import Chat, Message, Tools, match_calls, to_message
from tunesmith.rules.error import RowError
from tunesmith.rules.values import kind_of, text_of

# prompt: `{"messages": […], "tools"?: […], …any keys}`, the last message a user's or a tool's. problem: `{"problem": …,
# "answer": …, …any keys}`. The rows of `reasoning` serve, too: what they say of the way to the answer is not shown.
PromptKind = Literal["prompt", "problem"]
PROMPTS: tuple[PromptKind, ...] = ("prompt", "problem")
ASKED = ("messages", "tools", "parallel_tool_calls", "problem")  # keys of the prompt itself; others are for graders
ASKING = ("user", "tool")  # roles that an answer follows


@dataclass(frozen=True)
class Prompt:
    """Messages that wait for an answer, none trained. item: the row's other keys, which graders' templates name."""

    sides: ClassVar[tuple[str | None, ...]] = (None,)

    messages: list[Message]
    tools: Tools
    item: dict[str, Any]

    @property
    def chats(self) -> tuple[Chat, ...]:
        return (Chat(self.messages, self.tools),)


def is_prompt(row: dict[str, Any]) -> bool:
    """Whether a row of messages is one: a chat that is learnt may end with a user's message, too."""
    messages = row["messages"]
    if not isinstance(messages, list) or not messages or _role(messages[-1]) not in ASKING:
        return False
    return any(key not in ASKED for key in row) or "assistant" not in map(_role, messages)


def _role(message: Any) -> Any:
    return message.get("role") if isinstance(message, dict) else None


def is_problem(row: dict[str, Any]) -> bool:
    return "problem" in row and "answer" in row and "reasoning" not in row


def to_prompt_row(number: int, row: dict[str, Any]) -> Prompt:
    """A row that an answer is sampled to.

    Raises:
        RowError: it asks nothing.
    """
    if "messages" not in row:
        problem = text_of(number, row.get("problem"), "problem")
        if not problem.strip():
            raise RowError(number, "problem", "is empty: there is nothing to answer")
        return Prompt([Message("user", problem)], None, row)
    if row.get("functions") is not None:
        raise RowError(number, "functions", "is the old form: give tools")
    value = row["messages"]
    if not isinstance(value, list) or not value:
        raise RowError(number, "messages", f"a list of at least one message is needed, not {kind_of(value)}")
    offered = tools.offered(number, row.get("tools"))
    messages = [to_message(number, item, f"messages[{i}]") for i, item in enumerate(value)]
    if messages[-1].role not in ASKING:
        at = f"messages[{len(messages) - 1}].role"
        raise RowError(
            number, at, f"the last message is to be a user's, which the model answers, not {messages[-1].role}"
        )
    match_calls(number, messages, offered)
    item = {key: row[key] for key in row if key not in ("messages", "tools")}
    return Prompt([replace(message, trained=False) for message in messages], offered, item)
