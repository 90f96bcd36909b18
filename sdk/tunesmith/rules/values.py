# pyright: standard, reportMissingImports=false
# Copied from core/rows/values.py by sdk/tools/copy_core.py: change it there.
"""Small checks of values that came from JSON, with faults in words."""

from typing import Any

from tunesmith.rules.error import RowError


def only_keys(
    number: int, value: dict[str, Any], *, allowed: tuple[str, ...], shown: tuple[str, ...] | None = None, at: str = ""
) -> None:
    """Raises RowError for the first key that is not allowed; `shown`: the keys to name to the author."""
    for key in value:
        if key not in allowed:
            field = f"{at}.{key:.60}" if at else f"{key:.60}"
            raise RowError(number, field, f"unknown key; allowed here: {', '.join(shown or allowed)}")


def text_of(number: int, value: Any, field: str) -> str:
    """The value, which has to be a string."""
    if not isinstance(value, str):
        raise RowError(number, field, f"a string is needed, not {kind_of(value)}")
    return value


def one_of(number: int, value: Any, field: str, *, allowed: tuple[str, ...]) -> str:
    """The value, which has to be one of a few strings."""
    if not isinstance(value, str) or value not in allowed:
        given = f"{value!r:.60}" if isinstance(value, str) else kind_of(value)
        raise RowError(number, field, f"{given} is not one of {', '.join(allowed)}")
    return value


def kind_of(value: Any) -> str:
    """What a value is, in JSON's words."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    if isinstance(value, list | str) and not value:
        return "an empty list" if isinstance(value, list) else "an empty string"
    return "nothing" if value is None else names.get(type(value), f"a {type(value).__name__}")
