"""What all resources share: answers to types, ids to paths, lists to pages."""

from collections.abc import Mapping
from typing import Any, TypeVar, cast
from urllib.parse import quote

from pydantic import ValidationError

from tunesmith.errors import UnexpectedAnswer
from tunesmith.page import Page
from tunesmith.transport import Transport
from tunesmith.types import Answer

Kind = TypeVar("Kind", bound=Answer)


class Resource:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport


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


def segment(identifier: str, *, safe: str = "") -> str:
    """The id as a part of a path, whatever characters somebody put into it.

    Raises:
        ValueError: it is empty or a dot path, which would mean another route.
    """
    if not identifier or {".", ".."} & set(identifier.split("/")):
        raise ValueError(f"not an id: {identifier!r}")
    return quote(identifier, safe=safe)


def get_page(transport: Transport, kind: type[Kind], path: str, query: Mapping[str, Any]) -> Page[Kind]:
    """One page of the list at the path; the next begins after its last item."""
    answer = transport.request("GET", path, query=query)
    if not isinstance(answer, dict) or "data" not in answer:
        raise UnexpectedAnswer(f"GET {path}: the answer is no list")
    listed = cast("dict[str, Any]", answer)
    data = [parse(kind, item) for item in listed["data"]]

    def following() -> Page[Kind]:
        last = data[-1].model_dump()["id"]
        return get_page(transport, kind, path, {**query, "after": last})

    return Page(data, has_more=bool(listed.get("has_more")), following=following)
