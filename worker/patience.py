"""Waiting for services that are away: an outage of minutes must cost a job nothing but the minutes."""

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from core.storage import STORE_ERRORS, IntegrityError

log = logging.getLogger(__name__)

# What may pass by itself. An IntegrityError among them: bytes that were damaged on their way come whole the next time.
TRANSIENT = (*STORE_ERRORS, IntegrityError, OperationalError, InterfaceError, PoolTimeout, ConnectionError)
LONGEST_WAIT = 15 * 60  # seconds after which an attempt gives up, and its job goes to another worker
LONGEST_PAUSE = 15.0
# Answers of a store that waiting does not change.
REFUSALS = {"403", "404", "AccessDenied", "InvalidAccessKeyId", "NoSuchBucket", "NoSuchKey", "SignatureDoesNotMatch"}

Result = TypeVar("Result")


class GivenUp(Exception):
    """The attempt was asked to stop while it waited."""


def refusal(error: Exception) -> str | None:
    """The code with which the store refused a request for good; None for all other errors."""
    if not isinstance(error, STORE_ERRORS):
        return None
    answer = getattr(error, "response", None) or {}  # of connections that broke, botocore's errors hold None there
    code = answer.get("Error", {}).get("Code")
    return code if code in REFUSALS else None


def patiently(call: Callable[[], Result], *, what: str, stop: threading.Event) -> Result:
    """Call until it succeeds, with growing pauses.

    Raises:
        GivenUp: `stop` was set while waiting.
        Exception: the last error, after LONGEST_WAIT seconds; at once where waiting does not help.
    """
    deadline = time.monotonic() + LONGEST_WAIT
    pause = 0.2
    while True:
        try:
            return call()
        except TRANSIENT as error:
            if refusal(error) or time.monotonic() > deadline:
                raise
            log.warning("%s: %s; trying again in %.1f s", what, error, pause)
        if stop.wait(pause):
            raise GivenUp(what)
        pause = min(pause * 2, LONGEST_PAUSE)
