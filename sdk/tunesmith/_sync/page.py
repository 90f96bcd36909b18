"""One page of a list, and the way to the next."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True)
class Page(Generic[Item]):
    """`data` is this page; iterating goes on through all pages that follow, each fetched when it is reached."""

    data: list[Item]
    has_more: bool = False
    following: "Callable[[], Page[Item]] | None" = field(default=None, repr=False)

    def __iter__(self) -> Iterator[Item]:
        page = self
        while True:
            yield from page.data
            if not (page.has_more and page.data and page.following):
                return
            page = page.following()
