# Written by sdk/tools/make_sync.py from tunesmith/_async/transfers.py: change it there.
"""Downloads that go on where they broke off."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import httpx

from tunesmith._sync import waiting
from tunesmith.downloads import Part
from tunesmith.errors import APIConnectionError, APIStatusError
from tunesmith.retries import backoff

ATTEMPTS = 5  # connections in a row that may break without a byte gained
RANGE_NOT_SATISFIABLE = 416
Opened = Callable[[Mapping[str, str]], AbstractContextManager[httpx.Response]]


def save(opened: Opened, path: Path, *, sha256: str | None, size: int) -> None:
    """Write the body to the path; `opened` begins the request with the headers that it is given.

    Raises:
        APIConnectionError: it keeps breaking off; what has come is kept, and the next call goes on behind it.
        DigestMismatch: other bytes came; whatever was at the path before is still there.
    """
    part = Part(path, sha256=sha256, size=size)
    failures = 0
    while not part.whole():
        before = part.headers()
        try:
            with opened(before) as response, part.writing(response) as write:
                for chunk in response.iter_bytes():
                    waiting.in_thread(partial(write, chunk))
            break
        except APIStatusError as error:
            if error.status_code != RANGE_NOT_SATISFIABLE or not before:
                raise
            part.discard()
        except APIConnectionError:
            failures = failures + 1 if part.headers() == before else 1
            if failures == ATTEMPTS:
                raise
            waiting.sleep(backoff(failures))
    waiting.in_thread(part.finish)
