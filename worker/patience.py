"""Waiting for services that are away: an outage of minutes must cost a job nothing but the minutes."""

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from core.storage import STORE_ERRORS, STORE_REFUSALS, IntegrityError

log = logging.getLogger(__name__)

# What may pass by itself. An IntegrityError among them: bytes that were damaged on their way come whole the next time.
TRANSIENT = (*STORE_ERRORS, IntegrityError, OperationalError, InterfaceError, PoolTimeout, ConnectionError)
LONGEST_WAIT = 15 * 60  # seconds after which an attempt gives up, and its job goes to another worker
LONGEST_PAUSE = 15.0

Result = TypeVar("Result")


class GivenUp(Exception):
    """The attempt was asked to stop while it waited."""


class Refused(Exception):
    """The object store answers, and refuses: an object is missing, or the credentials are wrong."""


def is_final(error: Exception) -> bool:
    code = error.response.get("Error", {}).get("Code") if isinstance(error, STORE_REFUSALS) else None
    return code in ("NoSuchKey", "NoSuchBucket", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "404")


def patiently(call: Callable[[], Result], *, what: str, stop: threading.Event) -> Result:
    """Call until it succeeds, with growing pauses.

    Raises:
        GivenUp: `stop` was set while waiting.
        Refused: the store says no, and would say so again.
        Exception: the last error, after LONGEST_WAIT seconds; at once where waiting does not help.
    """
    deadline = time.monotonic() + LONGEST_WAIT
    pause = 0.2
    while True:
        try:
            return call()
        except TRANSIENT as error:
            if is_final(error):
                raise Refused(f"{what}: {error}") from error
            if time.monotonic() > deadline:
                raise
            log.warning("%s: %s; trying again in %.1f s", what, error, pause)
        if stop.wait(pause):
            raise GivenUp(what)
        pause = min(pause * 2, LONGEST_PAUSE)
