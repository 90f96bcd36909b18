# pyright: standard, reportMissingImports=false
# Copied from core/rows/chat.py by sdk/tools/copy_core.py: change it there.
"""Chats, the rows of supervised fine-tuning, in whichever of their three forms."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

from tunesmith.rules import tools
from tunesmith.rules.error import EmptyAnswer, RowError
from tunesmith.rules.values import kind_of, one_of, only_keys, text_of

ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"}
# messages: `{"messages": […], "tools"?: […], "parallel_tool_calls"?: …}`. prompt_completion, instruction_response:
# `{"prompt": …, "completion": …}` and `{"instruction": …, "response": …}`, which mean a user's message and an answer.
# reasoning: `{"problem": …, "reasoning": …, "answer": …}`: the answer comes behind what was thought, in THINKING.
ChatKind = Literal["messages", "prompt_completion", "instruction_response", "reasoning"]
Tools = list[dict[str, Any]] | None
PAIRS: dict[ChatKind, tuple[str, str]] = {
    "prompt_completion": ("prompt", "completion"),
    "instruction_response": ("instruction", "response"),
}
REASONING = ("problem", "reasoning", "answer")
# One of these makes a row a chat, or an attempt at one.
CHAT_KEYS = {"messages", *(key for keys in PAIRS.values() for key in keys), *REASONING[:2]}
THINKING = ("<think>", "</think>")
MESSAGE_KEYS = ("role", "content", "weight", "name", "tool_calls", "tool_call_id")
REFUSED_KEYS = {
    "function_call": "is the old form: give tool_calls",
    "audio": "audio can't be learnt: text only",
    "refusal": "is not read: put the refusal's text into content",
}


@dataclass(frozen=True)
class Message:
    """`trained`: the loss is taken on its tokens. Only assistants' messages are, unless their weight is 0.

    tool_calls: as in the contract, of an assistant that calls functions; its content may then be empty.
    tool_call_id: of a message with the role `tool`, the call that it answers.
    """

    role: str
    content: str
    trained: bool = False
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None


class AnyMessage(Protocol):
    """A message, whether it was read here or by `tunesmith.rules.fast`, which leaves text parts and calls as they were."""

    @property
    def role(self) -> str: ...
    @property
    def content(self) -> Any: ...
    @property
    def trained(self) -> bool: ...
    @property
    def tool_calls(self) -> Sequence[Any] | None: ...
    @property
    def tool_call_id(self) -> str | None: ...


@dataclass(frozen=True)
class Chat:
    """At least one of the messages is trained. tools: the functions on offer, as in the contract."""

    sides: ClassVar[tuple[str | None, ...]] = (None,)  # what each of a row's chats is called

    messages: list[Message]
    tools: Tools = None

    @property
    def chats(self) -> "tuple[Chat, ...]":
        """What is read of a row, as every kind of rows says it."""
        return (self,)


def chat_kind(number: int, row: dict[str, Any]) -> ChatKind:
    """Which form a row has, by its keys alone.

    Raises:
        RowError: none of them.
    """
    if "messages" in row:
        return "messages"
    for kind, keys in PAIRS.items():
        if any(key in row for key in keys):
            return kind
    if "problem" in row or "reasoning" in row:
        return "reasoning"
    found = ", ".join(repr(key) for key in list(row)[:5]) or "no keys at all"
    wanted = (
        "'messages', 'prompt' and 'completion', 'instruction' and 'response', 'problem', 'reasoning' and 'answer', "
        "'problem' and 'answer', 'prompt', 'completion' and 'label', 'prompt', 'chosen' and 'rejected', 'prompt' and "
        "'responses', 'input', "
        "'preferred_output' and 'non_preferred_output', or 'text'"
    )
    raise RowError(number, "", f"has {found}, where {wanted} are needed")


def to_chat(number: int, row: dict[str, Any]) -> Chat:
    """A row that was read from any format.

    Raises:
        RowError: the row is no chat that something can be learnt from.
    """
    kind = chat_kind(number, row)
    if kind == "messages":
        return _from_messages(number, row)
    if kind == "reasoning":
        return _from_reasoning(number, row)
    return _from_pair(number, row, PAIRS[kind])


def thought(reasoning: str, answer: str) -> str:
    """What an assistant writes that thinks before it answers, as reasoning models' templates write it."""
    return f"{THINKING[0]}\n{reasoning.strip()}\n{THINKING[1]}\n\n{answer.strip()}"


def is_thought(text: str) -> bool:
    """Whether there is some, and no mark of where thinking begins and ends in it."""
    return bool(text) and not text.isspace() and not any(mark in text for mark in THINKING)


def _from_reasoning(number: int, row: dict[str, Any]) -> Chat:
    only_keys(number, row, allowed=REASONING)
    problem, reasoning, answer = (text_of(number, row.get(key), key) for key in REASONING)
    for key, text in (("reasoning", reasoning), ("answer", answer)):
        if not text.strip():
            raise EmptyAnswer(number, key, "is empty: there is nothing to learn")
        if not is_thought(text):
            raise RowError(number, key, f"holds {' or '.join(THINKING)}, which are put around the reasoning here")
    return Chat([Message("user", problem), Message("assistant", thought(reasoning, answer), trained=True)])


def _from_pair(number: int, row: dict[str, Any], keys: tuple[str, str]) -> Chat:
    only_keys(number, row, allowed=keys)
    asked, answered = (text_of(number, row.get(key), key) for key in keys)
    if not answered.strip():
        raise EmptyAnswer(number, keys[1], "is empty: there is nothing to learn")
    return Chat([Message("user", asked), Message("assistant", answered, trained=True)])


def _from_messages(number: int, row: dict[str, Any]) -> Chat:
    if row.get("functions") is not None:
        raise RowError(number, "functions", "is the old form: give tools")
    only_keys(number, row, allowed=("messages", "tools", "parallel_tool_calls", "functions"))
    value = row["messages"]
    if not isinstance(value, list) or not value:
        raise RowError(number, "messages", f"a list of at least one message is needed, not {kind_of(value)}")
    parallel = row.get("parallel_tool_calls")
    if parallel is not None and not isinstance(parallel, bool):
        raise RowError(number, "parallel_tool_calls", f"true or false is needed, not {kind_of(parallel)}")
    offered = tools.offered(number, row.get("tools"))
    messages = [to_message(number, item, f"messages[{i}]") for i, item in enumerate(value)]
    if not any(message.trained for message in messages):
        raise RowError(number, "messages", "no assistant message to learn from (none, or all have weight 0)")
    match_calls(number, messages, offered)
    return Chat(messages, offered)


def to_message(number: int, value: Any, field: str) -> Message:
    """One message of the contract.

    Raises:
        RowError: it is none.
    """
    plain = _plain_message(value)
    return _checked_message(number, value, field) if plain is None else plain


def _plain_message(value: Any) -> Message | None:
    """One of nothing but a role and a text, as most are: what `_checked_message` reads, at a fraction of its cost."""
    if type(value) is not dict or len(value) != 2:
        return None
    role, content = value.get("role"), value.get("content")
    if type(content) is not str or type(role) is not str:
        return None
    if role == "assistant":
        return Message("assistant", content, trained=True) if content and not content.isspace() else None
    return Message(ROLES[role], content) if role in ("user", "system", "developer") else None


def _checked_message(number: int, value: Any, field: str) -> Message:
    if not isinstance(value, dict):
        raise RowError(number, field, f"an object with role and content is needed, not {kind_of(value)}")
    for key, why in REFUSED_KEYS.items():
        if value.get(key) is not None:
            raise RowError(number, f"{field}.{key}", why)
    only_keys(number, value, allowed=(*MESSAGE_KEYS, *REFUSED_KEYS), shown=MESSAGE_KEYS, at=field)
    role = one_of(number, value.get("role"), f"{field}.role", allowed=tuple(ROLES))
    if value.get("name") is not None:
        text_of(number, value["name"], f"{field}.name")
    trained = _weight(number, value.get("weight"), role, field)
    calls = value.get("tool_calls")
    if calls is not None and role != "assistant":
        raise RowError(number, f"{field}.tool_calls", "on assistant messages only")
    calls = tools.calls(number, calls, f"{field}.tool_calls")
    content = _content(number, value.get("content"), f"{field}.content", optional=calls is not None)
    if trained and not content.strip() and not calls:
        raise EmptyAnswer(number, f"{field}.content", "is empty: give it weight 0, or leave the message out")
    answers = value.get("tool_call_id")
    if (answers is not None) != (role == "tool"):
        raise RowError(number, f"{field}.tool_call_id", "needed on tool messages, and on them only")
    if answers is not None:
        text_of(number, answers, f"{field}.tool_call_id")
    return Message(ROLES[role], content, trained, calls, answers)


def _weight(number: int, weight: Any, role: str, field: str) -> bool:
    """Whether the message is trained."""
    if weight is not None and (role != "assistant" or isinstance(weight, bool) or weight not in (0, 1)):
        raise RowError(number, f"{field}.weight", "0 or 1, and on assistant messages only")
    return role == "assistant" and weight != 0


def _content(number: int, value: Any, field: str, *, optional: bool) -> str:
    """The text: a string, or the contract's list of text parts, which are joined."""
    if value is None and optional:
        return ""
    if not isinstance(value, list):
        return text_of(number, value, field)
    texts: list[str] = []
    for i, part in enumerate(value):
        at = f"{field}[{i}]"
        if not isinstance(part, dict):
            raise RowError(number, at, f"a part such as {{'type': 'text', 'text': …}} is needed, not {kind_of(part)}")
        if part.get("type") != "text":
            raise RowError(number, f"{at}.type", f"{part.get('type')!r:.40} can't be learnt: only 'text' parts can")
        only_keys(number, part, allowed=("type", "text"), at=at)
        texts.append(text_of(number, part.get("text"), f"{at}.text"))
    return "".join(texts)


def match_calls(
    number: int, messages: list[Message], offered: Tools, *, at: str = "messages", last: str | None = None
) -> None:
    """Each call is of a function that the row offers, where it offers any; each tool message answers one.

    Args:
        at: the key that the messages stand under.
        last: the key that the last one stands under, where that is another one.

    Raises:
        RowError: one is not.
    """
    names = {tool["function"]["name"] for tool in offered or []}
    made: set[str] = set()
    for i, message in enumerate(messages):
        if message.tool_calls is None and message.tool_call_id is None:
            continue
        field = f"{last}[0]" if last and i == len(messages) - 1 else f"{at}[{i}]"
        for k, call in enumerate(message.tool_calls or []):
            name = call["function"]["name"]
            if names and name not in names:
                raise RowError(number, f"{field}.tool_calls[{k}].function.name", f"{name!r:.60} is not in tools")
            made.add(call["id"])
        if message.tool_call_id is not None and message.tool_call_id not in made:
            raise RowError(number, f"{field}.tool_call_id", f"{message.tool_call_id!r:.60} answers no earlier call")
