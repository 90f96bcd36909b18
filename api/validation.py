"""Validation errors as what clients are answered."""

from collections.abc import Collection, Sequence
from typing import Any

from core.errors import InvalidRequest
from core.specs.mistakes import mistakes, shown

MOST = 5  # errors that one message names


class UnknownKey(InvalidRequest):
    code = "unknown_parameter"


class InvalidValue(InvalidRequest):
    code = "invalid_value"


def explain(errors: Sequence[Any], *, body: Any = None, schema: dict[str, Any] | None = None) -> InvalidRequest:
    """One error for the client out of pydantic's list.

    Args:
        errors: as from `ValidationError.errors()`.
        body: what was validated; it tells keys from the names of a union's branches.
        schema: its JSON schema, from which the allowed keys are read.
    """
    found = mistakes(errors, body=body, schema=schema)
    sentences = [mistake.sentence for mistake in found.values()][:MOST]
    if len(found) > MOST:
        sentences.append(f"and {len(found) - MOST} more")
    param, first = next(iter(found.items()))
    kind = UnknownKey if first.kind == "extra_forbidden" else InvalidValue
    return kind("; ".join(sentences), param=param or None)


def one_of(param: str, value: str | None, allowed: Collection[str]) -> str | None:
    """The value of a query parameter that may be left out.

    Raises:
        InvalidValue: it is none of `allowed`.
    """
    if value is not None and value not in allowed:
        raise InvalidValue(f"{param}: must be one of {', '.join(sorted(allowed))}; given {shown(value)}", param=param)
    return value


def some_of(param: str, value: str | None, allowed: Collection[str]) -> list[str] | None:
    """The values of a query parameter that takes several, with commas between them; None where it is left out.

    Raises:
        InvalidValue: one of them is none of `allowed`.
    """
    if value is None:
        return None
    values = [part.strip() for part in value.split(",")]
    for part in values:
        one_of(param, part, allowed)
    return values
