"""A model's chat template: messages in, text out, in the very sandbox and with the very helpers of transformers.

The environment is that of `transformers.utils.chat_template_utils`, without torch. What is ours are the limits: a
template is code that came with a model. They stop what grows by accident or by a simple trick; time and memory as such
are limited where it matters by the process that renders (core/estimate/child.py).
"""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from jinja2 import TemplateError, ext, nodes
from jinja2.exceptions import SecurityError
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from core.rows.chat import Chat, Message

MOST_CHARACTERS = 32 * 1024 * 1024  # of a rendered chat: twice the longest line of a file
MOST_LOOPED = 1_000_000  # numbers that the ranges of one rendering yield together

Rendered = dict[str, Any]


class ChatTemplate:
    """Renders chats.

    Args:
        source: the template; `with_tools`: the one for chats that offer tools, where the model has another.
        special_tokens: what templates know by name, such as `bos_token`.
    """

    def __init__(self, source: str, *, special_tokens: dict[str, str], with_tools: str | None = None) -> None:
        self._environment = _Environment()
        self._names = special_tokens
        try:
            self._plain = self._environment.from_string(source)
            self._with_tools = self._environment.from_string(with_tools) if with_tools else self._plain
        except TemplateError as error:
            raise ValueError(f"the model's chat template is no valid template: {error}") from None

    def render(self, messages: list[Rendered], *, tools: list[Rendered] | None = None, prompt: bool = False) -> str:
        """The chat as text, with the header of the next assistant message where `prompt`.

        Raises:
            ValueError: the template refuses the chat, fails on it, or writes without end.
        """
        template = self._with_tools if tools else self._plain
        self._environment.looped = 0
        parts, size = [], 0
        try:
            for part in template.generate(
                messages=messages, tools=tools, documents=None, add_generation_prompt=prompt, **self._names
            ):
                size += len(part)
                if size > MOST_CHARACTERS:
                    raise TemplateError(f"more than {MOST_CHARACTERS} characters")
                parts.append(part)
        except MemoryError:
            raise  # how much there is, is not the chat's fault
        except Exception as error:  # it is somebody else's program: it may fail in any way
            raise ValueError(f"the model's chat template refuses this chat: {error}") from None
        return "".join(parts)


def as_dicts(messages: list[Message]) -> list[Rendered]:
    """Messages as templates expect them: keys that a message does not have are absent, arguments are objects."""
    return [_as_dict(message) for message in messages]


def _as_dict(message: Message) -> Rendered:
    rendered: Rendered = {"role": message.role, "content": message.content}
    if message.tool_calls:
        rendered["tool_calls"] = [_with_object_arguments(call) for call in message.tool_calls]
    if message.tool_call_id is not None:
        rendered["tool_call_id"] = message.tool_call_id
    return rendered


def _with_object_arguments(call: Rendered) -> Rendered:
    """The contract has a function's arguments as JSON text; templates write them by `tojson`, as an object."""
    function = call.get("function")
    if not isinstance(function, dict) or not isinstance(function.get("arguments"), str):
        return call
    try:
        arguments = json.loads(function["arguments"])
    except (ValueError, RecursionError):
        return call
    return {**call, "function": {**function, "arguments": arguments}} if isinstance(arguments, dict) else call


def ignores_system(template: ChatTemplate) -> bool:
    """True where a system message leaves no trace, or is refused."""
    mark = "\ue000"
    messages = [{"role": "system", "content": mark}, {"role": "user", "content": "a"}]
    try:
        return mark not in template.render(messages, prompt=True)
    except ValueError:
        return True


def ignores_tools(template: ChatTemplate, chat: Chat) -> bool:
    """True where the tools that a chat offers leave no trace in it."""
    messages = as_dicts(chat.messages)
    try:
        return template.render(messages, tools=chat.tools) == template.render(messages)
    except ValueError:  # the chat is refused, which is told of its row
        return False


class _Environment(ImmutableSandboxedEnvironment):
    """transformers' settings, and limits on the simple ways to make much out of little."""

    intercepted_binops = frozenset({"*", "**"})
    looped = 0  # numbers that ranges were asked for in this rendering

    def __init__(self) -> None:
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, ext.loopcontrols])
        self.filters["tojson"] = _to_json
        self.globals |= {
            "raise_exception": _raise,
            "strftime_now": _now,
            "dict": _Dict(),
            "namespace": _Namespace,
            "range": self._range,
        }

    def _range(self, *arguments: int) -> range:
        numbers = range(*arguments)
        self.looped += len(numbers)
        if self.looped > MOST_LOOPED:
            raise SecurityError(f"loops over more than {MOST_LOOPED} numbers")
        return numbers

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "**" and (abs(left) > 1e6 or abs(right) > 64):
            raise SecurityError(f"{left} ** {right}")
        for sequence, times in ((left, right), (right, left)):
            if isinstance(sequence, str | list | tuple) and len(sequence) * times > MOST_CHARACTERS:
                raise SecurityError(f"repeats something {times} times")
        return super().call_binop(context, operator, left, right)


class _Generation(ext.Extension):
    """`{% generation %}` marks what assistants write; here, as in plain rendering, it changes nothing."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_written"), [], [], body).set_lineno(line)

    def _written(self, caller: Callable[[], str]) -> str:
        return caller()


class _Dict:
    """Stands in for `dict`, whose own attributes lead out of the sandbox."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict(*args, **kwargs)

    def fromkeys(self, *args: Any) -> dict[Any, Any]:
        return dict.fromkeys(*args)


class _Namespace(Namespace):
    """jinja2's, without names that could reach into Python."""

    def __init__(*args: Any, **kwargs: Any) -> None:
        self, names = args[0], dict(*args[1:], **kwargs)
        for name in names:
            _refuse_private(name)
        Namespace.__init__(self, names)

    def __setitem__(self, name: str, value: Any) -> None:
        _refuse_private(name)
        super().__setitem__(name, value)


def _refuse_private(name: Any) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"a namespace can't hold {name!r}")


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    # jinja2's own would escape HTML.
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise(message: str) -> None:
    raise TemplateError(message)


def _now(format: str) -> str:
    return datetime.now().strftime(format)
