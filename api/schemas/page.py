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


def unix(time: datetime) -> int:
    """Whole seconds, the contract's unit of time."""
    return int(time.timestamp())


def unix_or_none(time: datetime | None) -> int | None:
    return None if time is None else unix(time)
