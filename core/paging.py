"""Pages by keyset: newest first, continued after the id of the last item seen."""

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

from core.errors import InvalidRequest

Item = TypeVar("Item")


@dataclass(frozen=True)
class Page(Generic[Item]):
    items: list[Item]
    has_more: bool


def page(
    session: Session,
    statement: Select[Any],
    *,
    by: tuple[InstrumentedAttribute[Any], ...],
    after: tuple[Any, ...] | None,
    limit: int | None,
    descending: bool = True,
) -> Page[Any]:
    """One page of `statement`, ordered by the columns `by`, beginning behind the row whose values are `after`.

    Cost does not grow with the distance from the first page. limit: None for all the rest.
    """
    key = tuple_(*by)
    if after is not None:
        statement = statement.where(key < after if descending else key > after)
    ordered = statement.order_by(*(column.desc() if descending else column.asc() for column in by))
    items = list(session.scalars(ordered.limit(None if limit is None else limit + 1)))
    return Page(items=items[:limit], has_more=limit is not None and len(items) > limit)


def unknown_cursor(after: str) -> InvalidRequest:
    return InvalidRequest(f"after: no such item in this list: {after!r}", param="after")
