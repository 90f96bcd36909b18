"""SIGTERM: checkpoint at the next step edge and stop; outside of the training loop, stop at once."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stopped(BaseException):
    """SIGTERM came where there is nothing to checkpoint. No Exception, so that no library takes it for a failure."""


class StopRequest:
    """Whether SIGTERM has come. Inside of `deferred` it is only noted; outside it interrupts, once, as Stopped."""

    def __init__(self) -> None:
        self.requested = False
        self._deferred = False

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Only note the signal; who is inside looks at `requested`.

        Raises:
            Stopped: it came before.
        """
        self._deferred = True
        try:
            self.check()
            yield
        finally:
            self._deferred = False

    def ignore(self) -> None:
        """The outcome is settled: from now on a signal changes nothing."""
        self._deferred = True

    def check(self) -> None:
        """Raises Stopped where the signal has come: also where its exception got lost in a callback of C code."""
        if self.requested:
            raise Stopped

    def _received(self, _number: int, _frame: FrameType | None) -> None:
        again, self.requested = self.requested, True
        if not self._deferred and not again:
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
