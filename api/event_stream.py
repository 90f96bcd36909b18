"""Events as server-sent events: every client gets each event of its job once, in order, across reconnects.

A client's cursor is the number of the last event that it was sent. Whatever comes next has the next number, from the
job's recent frames where they reach back far enough, else from the database: there is no gap to guard against.
"""

import asyncio
import json
import logging
import signal
import threading
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from fastapi.concurrency import run_in_threadpool
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from api.schemas.job import EventObject
from core.access.repository import live_keys
from core.db import session_scope
from core.jobs import repository
from core.jobs.states import TERMINAL
from core.models import Event

log = logging.getLogger(__name__)
LOOK_SECONDS = 0.3  # how long an event may wait for the next look at the database
KEEP_ALIVE_SECONDS = 15.0
RETRY_SECONDS = 1.0  # while the database is away
RECENT = 256  # frames a job keeps for those who keep up
BATCH = 200  # events that a client who has to catch up reads at once


@dataclass
class Followed:
    """A job that somebody listens to. seq: its last event as far as is known. moved: set when any of this changes."""

    seq: int
    status: str
    listeners: int = 0
    recent: deque[tuple[int, bytes]] = field(default_factory=lambda: deque(maxlen=RECENT))
    moved: asyncio.Event = field(default_factory=asyncio.Event)

    def after(self, cursor: int) -> list[tuple[int, bytes]] | None:
        """The frames behind the cursor; None where the recent ones do not reach back that far."""
        if cursor >= self.seq:
            return []
        if not self.recent or self.recent[0][0] > cursor + 1:
            return None
        return [frame for frame in self.recent if frame[0] > cursor]

    def move(self, seq: int, status: str, frames: list[tuple[int, bytes]]) -> None:
        """Take over a newer state and the frames that lead to it; without them the recent ones would have a gap."""
        if not frames or frames[0][0] != self.seq + 1:
            self.recent.clear()
        self.recent.extend(frames)
        self.seq, self.status = seq, status
        self.wake()

    def wake(self) -> None:
        self.moved.set()
        self.moved = asyncio.Event()


@dataclass(frozen=True)
class Look:
    """What one look at the database has found: (number of the last event, status) and new frames by job, dead keys."""

    states: dict[str, tuple[int, str]]
    frames: dict[str, list[tuple[int, bytes]]]
    dead_keys: set[str]


class EventStreams:
    """All streams of one replica. One task looks for all of them at once, and only while somebody listens."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._followed: dict[str, Followed] = {}
        self._keys: Counter[str] = Counter()  # listeners by the key that let them in
        self._dead_keys: set[str] = set()  # those of them that have been revoked or have expired since
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    async def frames(self, job_id: str, *, key_id: str, cursor: int, seq: int, status: str) -> AsyncIterator[bytes]:
        """The job's events behind the cursor as they happen, until it has ended, then a frame `end`.

        Without that frame it stops when the key is no longer valid or the server leaves.

        Args:
            seq, status: of the job, as read when the client was let in.
        """
        yield b": keep-alive\n\n"  # an answer at once, whatever comes
        with self._following(job_id, key_id=key_id, seq=seq, status=status) as followed:
            while not self._closing and key_id not in self._dead_keys:
                moved = followed.moved
                batch = followed.after(cursor)
                if batch is None:
                    batch = await self._read(job_id, cursor)
                if batch:
                    yield b"".join(frame for _, frame in batch)
                    cursor = batch[-1][0]
                elif followed.status in TERMINAL and cursor >= followed.seq:
                    yield f"event: end\ndata: {json.dumps({'status': followed.status})}\n\n".encode()
                    return
                elif not await _within(KEEP_ALIVE_SECONDS, moved):
                    yield b": keep-alive\n\n"

    def close(self) -> None:
        """End all streams at the next chance; clients come back with their cursor, to another replica."""
        self._closing = True
        self._wake_all()

    def _wake_all(self) -> None:
        for followed in self._followed.values():
            followed.wake()

    @contextmanager
    def _following(self, job_id: str, *, key_id: str, seq: int, status: str) -> Iterator[Followed]:
        followed = self._followed.setdefault(job_id, Followed(seq, status))
        followed.listeners += 1
        self._keys[key_id] += 1
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._watch())
        try:
            yield followed
        finally:
            followed.listeners -= 1
            if followed.listeners == 0:
                self._followed.pop(job_id, None)
            self._keys[key_id] -= 1
            self._keys += Counter()  # drops what nobody uses any more

    async def _watch(self) -> None:
        while self._followed and not self._closing:
            await asyncio.sleep(LOOK_SECONDS)
            known = {job_id: followed.seq for job_id, followed in self._followed.items()}
            try:
                found = await run_in_threadpool(self._look, known, list(self._keys))
            except SQLAlchemyError as error:
                log.warning("streams wait for the database: %s", type(error).__name__)
                continue
            for job_id, (seq, status) in found.states.items():
                followed = self._followed.get(job_id)
                # A look that began before everybody left and somebody came back may know less than the newcomer.
                if followed is not None and seq >= followed.seq and (seq, status) != (followed.seq, followed.status):
                    followed.move(seq, status, found.frames.get(job_id, []))
            if found.dead_keys != self._dead_keys:
                self._dead_keys = found.dead_keys
                self._wake_all()

    def _look(self, known: dict[str, int], key_ids: list[str]) -> Look:
        """Where the jobs are, and the new frames of those that have moved: one read each, however many listen."""
        frames: dict[str, list[tuple[int, bytes]]] = {}
        with session_scope(self._engine) as session:
            states = repository.positions(session, job_ids=list(known))
            for job_id, (seq, _) in states.items():
                if known[job_id] < seq <= known[job_id] + RECENT:
                    found = repository.events_behind(session, job_id=job_id, seq=known[job_id], limit=RECENT)
                    # What has come since the state was read belongs to the next look.
                    frames[job_id] = [(event.seq, frame(event)) for event in found if event.seq <= seq]
            return Look(states, frames, dead_keys=set(key_ids) - live_keys(session, ids=key_ids))

    async def _read(self, job_id: str, cursor: int) -> list[tuple[int, bytes]]:
        while not self._closing:
            try:
                return await run_in_threadpool(self._read_now, job_id, cursor)
            except SQLAlchemyError as error:
                log.warning("a stream of %s waits for the database: %s", job_id, type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)
        return []

    def _read_now(self, job_id: str, cursor: int) -> list[tuple[int, bytes]]:
        with session_scope(self._engine) as session:
            found = repository.events_behind(session, job_id=job_id, seq=cursor, limit=BATCH)
            return [(event.seq, frame(event)) for event in found]


def frame(event: Event) -> bytes:
    """One event in the form of the HTML standard's event streams; its id is the event's number in its job."""
    return f"id: {event.seq}\nevent: {event.type}\ndata: {EventObject.of(event).model_dump_json()}\n\n".encode()


async def _within(seconds: float, moved: asyncio.Event) -> bool:
    try:
        await asyncio.wait_for(moved.wait(), seconds)
    except TimeoutError:
        return False
    return True


def on_shutdown(call: Callable[[], None]) -> None:
    """Call it in the running event loop when the server is asked to leave.

    A server waits for its open answers before it tells the application: streams have to hear of it earlier. Outside of
    a main thread (a test's server) there are no signals, and nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        before: Any = signal.getsignal(number)

        def received(number: int, stack: FrameType | None, before: Any = before) -> None:
            loop.call_soon_threadsafe(call)
            if callable(before):
                before(number, stack)

        signal.signal(number, received)
