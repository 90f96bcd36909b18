from datetime import datetime
from typing import Generic, Literal, TypeVar

from pydantic import BaseModel

Item = TypeVar("Item")


class ListPage(BaseModel, Generic[Item]):
    """One page; the next begins `after` the id of its last item, as long as `has_more`."""

    object: Literal["list"] = "list"
    data: list[Item]
    has_more: bool = False
    first_id: str | None = None
    last_id: str | None = None

    @classmethod
    def of(cls, data: list[Item], *, has_more: bool) -> "ListPage[Item]":
        """A page of things that have ids, with the first and the last of them."""
        ids: list[str] = [item.id for item in data]  # pyright: ignore[reportAttributeAccessIssue]
        first, last = (ids[0], ids[-1]) if ids else (None, None)
        return cls(data=data, has_more=has_more, first_id=first, last_id=last)


def unix(time: datetime) -> int:
    """Whole seconds, the contract's unit of time."""
    return int(time.timestamp())


def unix_or_none(time: datetime | None) -> int | None:
    return None if time is None else unix(time)
