"""What all resources share."""

from collections.abc import Mapping
from typing import Any

from tunesmith._sync.page import Page
from tunesmith._sync.transport import Transport
from tunesmith.answers import Kind, parse_list


class Resource:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def _pages(self, kind: type[Kind], path: str, query: Mapping[str, Any] | None = None) -> Page[Kind]:
        data, has_more, last = parse_list(kind, path, self._transport.request("GET", path, query=query))

        def following() -> Page[Kind]:
            return self._pages(kind, path, {**(query or {}), "after": last})

        return Page(data, has_more=has_more and last is not None, following=following)
