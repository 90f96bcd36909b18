"""Functions on offer (`tools`) and calls of them (`tool_calls`), as the contract writes them."""

import re
from typing import Annotated, Any, Literal

import msgspec

from core.rows.error import RowError
from core.rows.values import kind_of, one_of, only_keys, text_of

MOST_TOOLS = 128
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
FUNCTION_KEYS = ("name", "description", "parameters", "strict")


class CalledFunction(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    name: Annotated[str, msgspec.Meta(pattern=rf"\A{NAME.pattern}\Z")]
    arguments: str


class Call(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """What `calls` accepts, but that the arguments may be any text."""

    id: str
    type: Literal["function"]
    function: CalledFunction


def offered(number: int, value: Any) -> list[dict[str, Any]] | None:
    """The row's `tools`; None where it offers none.

    Raises:
        RowError: they are no functions.
    """
    if value is None or value == []:
        return None
    if not isinstance(value, list):
        raise RowError(number, "tools", f"a list of functions is needed, not {kind_of(value)}")
    if len(value) > MOST_TOOLS:
        raise RowError(number, "tools", f"{len(value)} functions; at most {MOST_TOOLS} are allowed")
    return [_tool(number, tool, f"tools[{i}]") for i, tool in enumerate(value)]


def _tool(number: int, value: Any, field: str) -> dict[str, Any]:
    function = _function(number, value, field, allowed=("type", "function"))
    only_keys(number, function, allowed=FUNCTION_KEYS, at=f"{field}.function")
    description, parameters, strict = (function.get(key) for key in FUNCTION_KEYS[1:])
    if description is not None:
        text_of(number, description, f"{field}.function.description")
    if parameters is not None and not isinstance(parameters, dict):
        raise RowError(number, f"{field}.function.parameters", f"a JSON schema is needed, not {kind_of(parameters)}")
    if strict is not None and not isinstance(strict, bool):
        raise RowError(number, f"{field}.function.strict", f"true or false is needed, not {kind_of(strict)}")
    return value


def calls(number: int, value: Any, field: str) -> list[dict[str, Any]] | None:
    """An assistant's `tool_calls`; None where it makes none.

    Raises:
        RowError: they are no calls, or their arguments are not an object as JSON text.
    """
    if value is None:
        return None
    if not isinstance(value, list) or not value:
        raise RowError(number, field, f"a list of at least one call is needed, not {kind_of(value)}")
    return [_call(number, call, f"{field}[{i}]") for i, call in enumerate(value)]


def _call(number: int, value: Any, field: str) -> dict[str, Any]:
    function = _function(number, value, field, allowed=("id", "type", "function"))
    text_of(number, value.get("id"), f"{field}.id")
    only_keys(number, function, allowed=("name", "arguments"), at=f"{field}.function")
    at = f"{field}.function.arguments"
    arguments = text_of(number, function.get("arguments"), at)
    try:
        decoded = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise RowError(number, at, "is not valid JSON; it holds the arguments as the text of a JSON object") from None
    if not isinstance(decoded, dict):
        raise RowError(number, at, f"the text of a JSON object is needed, not of {kind_of(decoded)}")
    return value


def _function(number: int, value: Any, field: str, *, allowed: tuple[str, ...]) -> dict[str, Any]:
    """The object under `function`, its name checked."""
    if not isinstance(value, dict):
        raise RowError(number, field, f"an object with type and function is needed, not {kind_of(value)}")
    only_keys(number, value, allowed=allowed, at=field)
    one_of(number, value.get("type"), f"{field}.type", allowed=("function",))
    function = value.get("function")
    if not isinstance(function, dict):
        raise RowError(number, f"{field}.function", f"an object with a name is needed, not {kind_of(function)}")
    name = text_of(number, function.get("name"), f"{field}.function.name")
    if not NAME.fullmatch(name):
        raise RowError(
            number, f"{field}.function.name", f"{name!r:.60}: 1 to 64 of the characters A-Z a-z 0-9 _ - only"
        )
    return function
