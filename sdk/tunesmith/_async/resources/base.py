"""What all resources share."""

from collections.abc import Mapping
from typing import Any

from tunesmith._async.page import AsyncPage, AsyncPages
from tunesmith._async.transport import AsyncTransport
from tunesmith.answers import Kind, parse_list


class AsyncResource:
    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    def _pages(self, kind: type[Kind], path: str, query: Mapping[str, Any] | None = None) -> AsyncPages[Kind]:
        async def first() -> AsyncPage[Kind]:
            return await _page(self._transport, kind, path, query or {})

        return AsyncPages(first)


async def _page(transport: AsyncTransport, kind: type[Kind], path: str, query: Mapping[str, Any]) -> AsyncPage[Kind]:
    data, has_more, last = parse_list(kind, path, await transport.request("GET", path, query=query))

    async def following() -> AsyncPage[Kind]:
        return await _page(transport, kind, path, {**query, "after": last})

    return AsyncPage(data, has_more=has_more and last is not None, following=following)
