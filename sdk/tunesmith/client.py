"""The client."""

import os
from types import TracebackType
from typing import Self

from tunesmith.errors import ConfigurationError
from tunesmith.resources.files import Files
from tunesmith.resources.jobs import FineTuning
from tunesmith.resources.models import Models
from tunesmith.transport import Transport

DEFAULT_BASE_URL = "http://127.0.0.1:8000/v1"


class Tunesmith:
    """A client of one server, with one key; safe to share between threads, and a context manager.

    Args:
        base_url: where the API is, with its `/v1`; else the environment's TUNESMITH_BASE_URL, else port 8000 here.
        api_key: else the environment's TUNESMITH_API_KEY.
        timeout: seconds without any byte after which a request counts as failed.
        max_retries: how often a request is repeated after connection errors and the statuses 408, 409, 429, >= 500.

    Raises:
        ConfigurationError: there is no key, or the URL is none.
    """

    def __init__(
        self,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        timeout: float = 60.0,
        max_retries: int = 2,
    ) -> None:
        key = api_key or os.environ.get("TUNESMITH_API_KEY")
        if not key:
            raise ConfigurationError("no API key: give api_key, or set TUNESMITH_API_KEY")
        if not (key.isascii() and key.isprintable()):
            raise ConfigurationError("the API key holds characters that no key has")
        self.base_url = base_url or os.environ.get("TUNESMITH_BASE_URL") or DEFAULT_BASE_URL
        if not self.base_url.startswith(("http://", "https://")):
            raise ConfigurationError(f"the base URL begins with neither http:// nor https://: {self.base_url}")
        if max_retries < 0:
            raise ConfigurationError(f"max_retries is negative: {max_retries}")
        self._transport = Transport(base_url=self.base_url, api_key=key, timeout=timeout, max_retries=max_retries)
        self.files = Files(self._transport)
        self.fine_tuning = FineTuning(self._transport)
        self.models = Models(self._transport)

    def __repr__(self) -> str:
        return f"Tunesmith(base_url={self.base_url!r})"

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
