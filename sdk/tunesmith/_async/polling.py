"""Waiting for something on the server to change."""

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tunesmith._async import waiting
from tunesmith.errors import APIConnectionError, InternalServerError, WaitTimeout

INTERVAL = 1.0  # seconds between two looks
PATIENCE = 60.0  # seconds that the server may be away, as while it is restarted
State = TypeVar("State")


async def until(
    done: Callable[[State], bool], look: Callable[[], Awaitable[State]], *, what: str, timeout: float | None
) -> State:
    """Look once an interval until the state is `done`, and answer that state.

    Raises:
        WaitTimeout: `timeout` seconds have passed.
        APIConnectionError, InternalServerError: the server has been away for longer than a restart takes.
    """
    started = answered = time.monotonic()
    while True:
        try:
            state = await look()
        except (APIConnectionError, InternalServerError):
            if time.monotonic() - answered > PATIENCE:
                raise
        else:
            answered = time.monotonic()
            if done(state):
                return state
        if timeout is not None and time.monotonic() - started >= timeout:
            raise WaitTimeout(f"{what} did not end within {timeout:g} seconds")
        await waiting.sleep(INTERVAL)
