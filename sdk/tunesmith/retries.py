"""Which answers are repeated and after how long; what a refusal becomes."""

import email.utils
import random
import time
from typing import Any, cast

import httpx

from tunesmith.errors import APIConnectionError, APIStatusError, status_error_class

FIRST_BACKOFF = 0.5  # seconds; doubles with each repetition
LONGEST_BACKOFF = 8.0  # seconds
LONGEST_RETRY_AFTER = 60.0  # seconds; a server that asks for more gets its refusal passed on at once
RETRIED = frozenset({408, 409, 429})


def retryable(response: httpx.Response) -> bool:
    """The server says so, or the status does."""
    said = response.headers.get("x-should-retry")
    if said in ("true", "false"):
        return said == "true"
    return response.status_code in RETRIED or response.status_code >= 500


def refused(error: APIStatusError) -> bool:
    """What was asked for has not been done, for certain.

    Other errors may be the answer to a repetition, when the first request, whose answer got lost, has done it or is
    still about to.
    """
    return error.status_code < 500 and error.status_code not in RETRIED


def backoff(failures: int) -> float:
    """Seconds to wait after so many failures before; partly chance, so that clients do not march in step."""
    return min(FIRST_BACKOFF * 2 ** min(failures, 10), LONGEST_BACKOFF) * random.uniform(0.75, 1)


def retry_after(response: httpx.Response) -> float | None:
    """The seconds that the server asks to wait, never negative; None where it does not say."""
    milliseconds = _number(response.headers.get("retry-after-ms"))
    if milliseconds is not None:
        return max(0.0, milliseconds / 1000)
    value = response.headers.get("retry-after")
    if value is None:
        return None
    seconds = _number(value)
    if seconds is None:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except ValueError:
            return None
    return max(0.0, seconds)


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if number == number else None  # NaN says nothing


def status_error(response: httpx.Response) -> APIStatusError:
    """The error for a refusal whose body has been read: our envelope, or whatever a proxy on the way says."""
    error: Any = None
    try:
        body: Any = response.json()
        error = body.get("error")
    except (ValueError, AttributeError):
        pass
    known = cast("dict[str, Any]", error) if isinstance(error, dict) else {}
    return status_error_class(response.status_code)(
        response.status_code,
        str(known.get("message") or response.reason_phrase or "no message"),
        code=known.get("code"),
        param=known.get("param"),
        request_id=response.headers.get("x-request-id"),
    )


def connection_error(error: httpx.TransportError, request: httpx.Request) -> APIConnectionError:
    """The error for an answer that did not come, or broke off; with the origin only: a presigned link is a secret."""
    url = request.url
    where = f"{url.scheme}://{url.netloc.decode('ascii', 'replace')}"
    return APIConnectionError(f"{where} does not answer: {str(error) or type(error).__name__}")
