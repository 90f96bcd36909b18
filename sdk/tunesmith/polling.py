"""Waiting for something on the server to change."""

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from tunesmith.errors import APIConnectionError, InternalServerError, WaitTimeout

INTERVAL = 1.0  # seconds between two looks
PATIENCE = 60.0  # seconds that the server may be away, as while it is restarted
sleep = time.sleep
State = TypeVar("State")


def states(look: Callable[[], State], *, what: str, timeout: float | None) -> Iterator[State]:
    """Look again and again, once an interval; whoever iterates stops when it has seen enough.

    Raises:
        WaitTimeout: `timeout` seconds have passed.
        APIConnectionError, InternalServerError: the server has been away for longer than a restart takes.
    """
    started = answered = time.monotonic()
    while True:
        try:
            state = look()
        except (APIConnectionError, InternalServerError):
            if time.monotonic() - answered > PATIENCE:
                raise
        else:
            answered = time.monotonic()
            yield state
        if timeout is not None and time.monotonic() - started >= timeout:
            raise WaitTimeout(f"{what} did not end within {timeout:g} seconds")
        sleep(INTERVAL)
