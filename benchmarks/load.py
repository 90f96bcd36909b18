"""A load generator: a few keep-alive connections, each with one request under way at a time."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Load:
    """latencies: seconds, one a request. statuses: how many answers had which HTTP status. seconds: how long it ran."""

    seconds: float
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.latencies) / self.seconds

    def quantile(self, q: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(q * len(ordered)))]

    @property
    def failures(self) -> int:
        """Answers of 500 and above."""
        return sum(count for status, count in self.statuses.items() if status >= 500)


def run(port: int, request: Callable[[], bytes], *, connections: int, seconds: float) -> Load:
    """Offer load to 127.0.0.1:port.

    Args:
        request: makes the bytes of the next request.
        seconds: how long; requests under way at its end are waited for.
    """
    return asyncio.run(_run(port, request, connections=connections, seconds=seconds))


async def _run(port: int, request: Callable[[], bytes], *, connections: int, seconds: float) -> Load:
    load, started = Load(seconds=seconds), time.perf_counter()
    deadline = started + seconds
    await asyncio.gather(*(_connection(port, request, load, deadline) for _ in range(connections)))
    load.seconds = time.perf_counter() - started
    return load


async def _connection(port: int, request: Callable[[], bytes], load: Load, deadline: float) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while (began := time.perf_counter()) < deadline:
        writer.write(request())
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(_content_length(head))
        load.latencies.append(time.perf_counter() - began)
        load.statuses[int(head.split(b" ", 2)[1])] += 1
    writer.close()
    await writer.wait_closed()


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    raise ValueError(f"an answer without a content-length: {head!r}")


def http(method: str, path: str, *, key: str, body: bytes = b"") -> bytes:
    """The bytes of a request."""
    lines = [
        f"{method} {path} HTTP/1.1",
        "host: 127.0.0.1",
        f"authorization: Bearer {key}",
        "content-type: application/json",
        f"content-length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body
