"""SIGTERM: checkpoint at the next step edge and stop; before there is anything to keep, stop at once."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stopped(Exception):
    """SIGTERM came while there was nothing to checkpoint."""


class StopRequest:
    """Whether SIGTERM has come. Inside of `deferred` it is only noted; outside it interrupts, as Stopped."""

    def __init__(self) -> None:
        self.requested = False
        self._deferred = False

    @contextmanager
    def deferred(self) -> Iterator[None]:
        self.check()
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False

    def check(self) -> None:
        """Raises Stopped."""
        if self.requested:
            raise Stopped

    def _received(self, _number: int, _frame: FrameType | None) -> None:
        self.requested = True
        if not self._deferred:
            raise Stopped


@contextmanager
def listening() -> Iterator[StopRequest]:
    """Listen for SIGTERM; in a thread other than the main one (a test's) nothing can be listened to."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = signal.signal(signal.SIGTERM, request._received)
    try:
        yield request
    finally:
        signal.signal(signal.SIGTERM, before)
