"""The thread that keeps a lease, and brings back what has been decided about the work meanwhile."""

import contextvars
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from core.leases import Replaced

log = logging.getLogger(__name__)


@contextmanager
def heartbeat(beat: Callable[[], None], *, every: float, on_replaced: Callable[[], None]) -> Iterator[threading.Event]:
    """Call `beat` every so many seconds in a thread of its own, for as long as the block lasts.

    Yields an event that is set, after `on_replaced()` was called, once a beat raised Replaced. Other errors are logged
    and the next beat tries again: while the database is away nobody is reaped.
    """
    stop, replaced = threading.Event(), threading.Event()

    def run() -> None:
        while not stop.wait(every):
            try:
                beat()
            except Replaced as error:
                log.warning("%s", error)
                replaced.set()
                on_replaced()
                return
            except Exception as error:
                log.warning("heartbeat failed, the next one tries again: %s", error)

    thread = threading.Thread(target=contextvars.copy_context().run, args=(run,), name="heartbeat", daemon=True)
    thread.start()
    try:
        yield replaced
    finally:
        stop.set()
        thread.join()
