"""Answers to types, ids to paths, queries to parameters."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, cast
from urllib.parse import quote

from pydantic import ValidationError

from tunesmith.errors import UnexpectedAnswer
from tunesmith.types import Answer

Kind = TypeVar("Kind", bound=Answer)


def parse(kind: type[Kind], answer: Any) -> Kind:
    """The answer as that type.

    Raises:
        UnexpectedAnswer: it is something else.
    """
    try:
        return kind.model_validate(answer)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UnexpectedAnswer(f"the answer is no {kind.__name__}: {where}: {first['msg']}") from None


def parse_list(kind: type[Kind], path: str, answer: Any) -> tuple[list[Kind], bool, str | None]:
    """(the items, whether there are more, what the next page begins after) of a list object.

    Raises:
        UnexpectedAnswer: it is something else.
    """
    listed = cast("dict[str, Any]", answer) if isinstance(answer, dict) else {}
    items = listed.get("data")
    if not isinstance(items, list):
        raise UnexpectedAnswer(f"GET {path}: the answer is no list")
    data = [parse(kind, item) for item in cast("list[Any]", items)]
    last = listed.get("last_id") or (data[-1].model_dump().get("id") if data else None)
    return data, bool(listed.get("has_more")), last


def segment(identifier: str, *, safe: str = "") -> str:
    """The id as a part of a path, whatever characters somebody put into it.

    Raises:
        ValueError: it is empty or a dot path, which would mean another route.
    """
    if not identifier or {".", ".."} & set(identifier.split("/")):
        raise ValueError(f"not an id: {identifier!r}")
    return quote(identifier, safe=safe)


def given(**values: Any) -> Mapping[str, Any]:
    """Those that are not None."""
    return {key: value for key, value in values.items() if value is not None}


def listed(values: "str | Sequence[str] | None") -> str | None:
    """One value or several as a query parameter that takes both."""
    return values if values is None or isinstance(values, str) else ",".join(values)
