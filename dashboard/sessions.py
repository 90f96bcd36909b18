"""Who is logged in: API keys live in this process's memory, and nowhere else.

A browser has a random token in a cookie; here is the token's digest, beside a client of the API with the key of whoever
logged in. A restart of the dashboard therefore logs everybody out.
"""

import hashlib
import secrets
import time
from dataclasses import dataclass, field

from tunesmith import AsyncTunesmith
from tunesmith.types import Key

COOKIE = "tunesmith_session"
MOST = 1000  # sessions; beyond them the oldest ends
PATIENCE = 10.0  # seconds without a byte from the API
LONG_PATIENCE = 300.0  # where it has rows to render and files to put together


class SessionOver(Exception):
    """It has expired, or was logged out elsewhere."""


@dataclass(eq=False)
class Session:
    """What one browser may do: what its key may. `ends_at` in seconds of the monotonic clock."""

    key: Key
    ends_at: float
    _client: AsyncTunesmith = field(repr=False)
    _patient: AsyncTunesmith = field(repr=False)

    @property
    def over(self) -> bool:
        return time.monotonic() >= self.ends_at

    @property
    def api(self) -> AsyncTunesmith:
        """
        Raises:
            SessionOver: there is no API for this session any more.
        """
        if self.over:
            raise SessionOver
        return self._client

    @property
    def patient(self) -> AsyncTunesmith:
        """A client for what may take minutes.

        Raises:
            SessionOver: as above.
        """
        if self.over:
            raise SessionOver
        return self._patient

    async def end(self) -> None:
        self.ends_at = 0.0
        await self._client.aclose()
        await self._patient.aclose()


class Sessions:
    def __init__(self, *, api_url: str, hours: float) -> None:
        self.api_url, self.seconds = api_url, hours * 3600
        self._by_digest: dict[str, Session] = {}

    async def begin(self, api_key: str) -> str:
        """The token of a new session with that key.

        Raises:
            TunesmithError: the API does not take the key, or does not answer.
        """
        client = AsyncTunesmith(base_url=self.api_url, api_key=api_key, timeout=PATIENCE)
        try:
            key = await client.me()
        except BaseException:
            await client.aclose()
            raise
        await self._forget()
        token = secrets.token_urlsafe(32)
        patient = AsyncTunesmith(base_url=self.api_url, api_key=api_key, timeout=LONG_PATIENCE)
        self._by_digest[_digest(token)] = Session(key, time.monotonic() + self.seconds, client, patient)
        return token

    def of(self, token: str | None) -> Session | None:
        session = self._by_digest.get(_digest(token)) if token else None
        return None if session is None or session.over else session

    async def end(self, token: str | None) -> None:
        session = self._by_digest.pop(_digest(token), None) if token else None
        if session is not None:
            await session.end()

    async def end_all(self) -> None:
        for digest in list(self._by_digest):
            await self._by_digest.pop(digest).end()

    async def _forget(self) -> None:
        """End those that are over, and the oldest where there are too many."""
        gone = [digest for digest, session in self._by_digest.items() if session.over]
        gone += list(self._by_digest)[: max(0, len(self._by_digest) - len(gone) - MOST + 1)]
        for digest in dict.fromkeys(gone):
            await self._by_digest.pop(digest).end()


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
