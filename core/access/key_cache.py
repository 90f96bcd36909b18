import time

from core.access.keys import digest
from core.access.owner import Owner

MOST = 10_000  # keys; only valid ones get in, so that few deployments ever come near it


class KeyCache:
    """Whom recent keys speak for, so that a busy client's requests need no query each.

    A key that is revoked goes on working for `seconds` in the processes that have seen it.
    """

    def __init__(self, *, seconds: float) -> None:
        self._seconds = seconds
        self._seen: dict[str, tuple[Owner, float]] = {}

    def get(self, key: str) -> Owner | None:
        owner, until = self._seen.get(digest(key), (None, 0.0))
        return owner if time.monotonic() < until else None

    def put(self, key: str, owner: Owner) -> None:
        if len(self._seen) >= MOST:
            self._seen.clear()
        self._seen[digest(key)] = (owner, time.monotonic() + self._seconds)
