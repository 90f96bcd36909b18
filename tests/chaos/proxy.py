"""A TCP proxy before one service, or before replicas of it: what passes may be late, cut off, damaged or refused."""

import asyncio
import random
import socket
import struct
import threading
from collections import Counter, deque
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from embedded.ports import free_ports

VERBS = (b"GET ", b"PUT ", b"POST ", b"HEAD ", b"DELETE ")
ANSWER = b"HTTP/1.1 "
GO_ON = b"HTTP/1.1 100 "  # to a request whose body waits for it
END_OF_HEAD = b"\r\n\r\n"
UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
CHUNK = 64 * 1024
LOOK_SECONDS = 0.02

Kind = Literal["delay", "blackhole", "reset", "truncate", "503", "flip", "lose answers"]


@dataclass(frozen=True)
class Trouble:
    """What befalls messages: of HTTP requests and answers, of other protocols whatever arrives at once.

    delay: each piece waits so many `seconds`. blackhole: nothing passes until the trouble is over, and then all of it.
    reset, truncate: half of a body passes, and the connection breaks off or, of answers, ends in good order.
    503: a request is answered so and not passed on. flip: one byte of a body changes, on its way in or out.
    lose answers: a POST is passed on, and the connection breaks off before its answer.

    share: of the messages that it befalls. path: what of the request a message has to belong to; all where left out.
    """

    kind: Kind
    share: float = 1.0
    seconds: float = 0.0
    path: str = ""


class CutOff(Exception):
    """The connection ends after these bytes."""

    def __init__(self, last: bytes, *, to_client: bool = False, reset: bool = True) -> None:
        super().__init__("cut off")
        self.last, self.to_client, self.reset = last, to_client, reset


@dataclass
class Direction:
    """One way through a connection. is_up: to the service. is_hit: trouble befalls the message that passes now."""

    is_up: bool
    is_hit: bool = False


class Proxy:
    """Listens on `port` in a thread of its own; each connection goes to the next of the targets that takes it.

    `trouble` may be set and cleared at any time, from any thread. `hits` counts the messages that it has befallen;
    `given_up` the HTTP requests, by their first lines, whose clients left while they were held in a blackhole.
    """

    def __init__(self, *targets: int, http: bool, seed: int) -> None:
        self.port = free_ports(1)[0]
        self.trouble: Trouble | None = None
        self.hits = 0
        self.given_up: Counter[bytes] = Counter()
        self._open: dict[int, bytes] = {}  # by the connection
        self._targets = deque(targets)
        self._http = http
        self._draw = random.Random(seed)
        self._connections: set[asyncio.Task[Any]] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy-{self.port}", daemon=True)

    @property
    def open_requests(self) -> list[bytes]:
        """The first lines of the HTTP requests whose answers have not come yet."""
        return list(self._open.values())

    def start(self) -> None:
        self._thread.start()
        self._run(self._listen())

    def stop(self) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def reset_connections(self) -> None:
        """Break off every connection that there is now."""
        self._run(self._cancel_all())

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, limit=CHUNK)

    async def _close(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._cancel_all()

    async def _cancel_all(self) -> None:
        tasks = list(self._connections)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        opened, reset = [to_client], True
        try:
            service, to_service = await self._connect()
            opened.append(to_service)
            reset = await self._relay(client, to_client, service, to_service)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for writer in opened:
                await _end(writer, reset=reset)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        for _ in range(len(self._targets) - 1):
            self._targets.rotate()
            with suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", self._targets[0], limit=CHUNK)
        self._targets.rotate()
        return await asyncio.open_connection("127.0.0.1", self._targets[0], limit=CHUNK)

    async def _relay(
        self,
        client: asyncio.StreamReader,
        to_client: asyncio.StreamWriter,
        service: asyncio.StreamReader,
        to_service: asyncio.StreamWriter,
    ) -> bool:
        """Pass bytes on until one side ends; whether the connection is to be reset."""
        link = {"request": b""}
        ways = [
            self._loop.create_task(self._pass_on(client, to_service, Direction(is_up=True), link)),
            self._loop.create_task(self._pass_on(service, to_client, Direction(is_up=False), link)),
        ]
        try:
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            self._open.pop(id(link), None)
        for way in done:
            error = way.exception()
            if isinstance(error, CutOff):
                writer = to_client if error.to_client else to_service
                writer.write(error.last)
                with suppress(OSError):
                    await writer.drain()
                return error.reset
            if error is not None:
                return True
        return False

    async def _pass_on(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, way: Direction, link: dict[str, bytes]
    ) -> None:
        while piece := await source.read(CHUNK):
            target.write(await self._befall(piece, way, link, source=source))
            await target.drain()

    async def _befall(
        self, piece: bytes, way: Direction, link: dict[str, bytes], *, source: asyncio.StreamReader
    ) -> bytes:
        """The piece as it is passed on.

        Raises:
            CutOff: the connection ends here.
        """
        trouble = self.trouble
        is_head = self._http and piece.startswith(VERBS if way.is_up else ANSWER)
        if is_head and way.is_up:
            self._open[id(link)] = link["request"] = piece.partition(b"\r\n")[0]
        elif is_head and not piece.startswith(GO_ON):
            self._open.pop(id(link), None)
        if is_head or not self._http:
            way.is_hit = (
                trouble is not None and trouble.path.encode() in link["request"] and self._draw.random() < trouble.share
            )
        if trouble is None or not way.is_hit:
            return piece
        match trouble.kind:
            case "delay":
                self.hits += 1
                await asyncio.sleep(trouble.seconds)
            case "blackhole":
                self.hits += 1
                if way.is_up and self._http:
                    piece += await self._rest_of(link["request"], source, trouble)
                while self.trouble is trouble:
                    await asyncio.sleep(LOOK_SECONDS)
            case "flip":
                return self._flipped(piece, way, is_head=is_head)
            case _:
                self._cut_off(trouble.kind, piece, way, is_head=is_head, request=link["request"])
        return piece

    async def _rest_of(self, request: bytes, source: asyncio.StreamReader, trouble: Trouble) -> bytes:
        """What the client still sends, until the trouble is over or the client has left."""
        rest = b""
        while self.trouble is trouble:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    if not (more := await source.read(CHUNK)):
                        self.given_up[request] += 1
                        break
                    rest += more
        return rest

    def _cut_off(self, kind: Kind, piece: bytes, way: Direction, *, is_head: bool, request: bytes) -> None:
        """Raises CutOff where the trouble ends the connection at this piece."""
        body = _body(piece, is_head=is_head)
        half = piece[: (body + len(piece)) // 2]
        ends = {
            "reset": CutOff(half, to_client=not way.is_up) if body < len(piece) else None,
            "truncate": CutOff(half, to_client=True, reset=False) if body < len(piece) and not way.is_up else None,
            "503": CutOff(UNAVAILABLE, to_client=True, reset=False) if is_head and way.is_up else None,
            "lose answers": CutOff(b"") if is_head and not way.is_up and request.startswith(b"POST ") else None,
        }
        if (end := ends[kind]) is not None:
            self.hits += 1
            raise end

    def _flipped(self, piece: bytes, way: Direction, *, is_head: bool) -> bytes:
        body = _body(piece, is_head=is_head)
        if body >= len(piece):
            return piece  # the body is yet to come
        way.is_hit = False  # one byte of a message is enough
        self.hits += 1
        at = self._draw.randrange(body, len(piece))
        return piece[:at] + bytes([piece[at] ^ 0x55]) + piece[at + 1 :]


def _body(piece: bytes, *, is_head: bool) -> int:
    """Where the body begins in a piece; its end where that is yet to come."""
    return piece.find(END_OF_HEAD) + len(END_OF_HEAD) if is_head else 0


async def _end(writer: asyncio.StreamWriter, *, reset: bool) -> None:
    connection: socket.socket | None = writer.get_extra_info("socket")
    if reset and connection is not None:
        with suppress(OSError):  # it is closed already
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    else:
        writer.close()
    with suppress(OSError, TimeoutError):
        await asyncio.wait_for(writer.wait_closed(), 5)
