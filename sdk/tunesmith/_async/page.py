"""One page of a list, and the way to the next."""

from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True)
class AsyncPage(Generic[Item]):
    """`data` is this page; `async for` goes on through all pages that follow, each fetched when it is reached."""

    data: list[Item]
    has_more: bool = False
    following: "Callable[[], Awaitable[AsyncPage[Item]]] | None" = field(default=None, repr=False)

    async def __aiter__(self) -> AsyncIterator[Item]:
        page = self
        while True:
            for item in page.data:
                yield item
            if not (page.has_more and page.data and page.following):
                return
            page = await page.following()


@dataclass(frozen=True)
class AsyncPages(Generic[Item]):
    """A list that has not been fetched yet: `await` it for its first page, or go through all with `async for`."""

    first: Callable[[], Awaitable[AsyncPage[Item]]] = field(repr=False)

    def __await__(self) -> Generator[Any, Any, AsyncPage[Item]]:
        return self.first().__await__()

    async def __aiter__(self) -> AsyncIterator[Item]:
        async for item in await self.first():
            yield item
