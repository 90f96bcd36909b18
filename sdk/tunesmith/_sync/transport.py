# Written by sdk/tools/make_sync.py from tunesmith/_async/transport.py: change it there.
"""Requests with the API key, repeated where that is right; and bare downloads without the key."""

import uuid
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO

import httpx

from tunesmith._sync import waiting
from tunesmith.errors import APIConnectionError, UnexpectedAnswer
from tunesmith.retries import LONGEST_RETRY_AFTER, backoff, connection_error, retry_after, retryable, status_error

# A proxy has no business between a machine and itself, whatever the environment says.
LOOPBACK: dict[str, httpx.BaseTransport | None] = {
    "all://127.0.0.1": None,
    "all://localhost": None,
    "all://[::1]": None,
}
Upload = tuple[str, str, BinaryIO]  # the form's field, the file's name, its open, seekable bytes


class Transport:
    """Sends requests to the API.

    Args:
        base_url: where the API is, with its `/v1`.
        timeout: seconds without any byte after which a request counts as failed.
        max_retries: how often a request is repeated after its first failure.
    """

    def __init__(self, *, base_url: str, api_key: str, timeout: float, max_retries: int) -> None:
        self.base_url = base_url.rstrip("/")
        self._max_retries = max_retries
        headers = {"authorization": f"Bearer {api_key}", "user-agent": "tunesmith-python/0.1.0"}
        self._client = httpx.Client(headers=headers, timeout=timeout, mounts=LOOPBACK)
        # Another client, so that neither key nor cookies can reach the object store.
        self._bare = httpx.Client(timeout=timeout, mounts=LOOPBACK)

    def close(self) -> None:
        self._client.close()
        self._bare.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        fields: Mapping[str, str] | None = None,
        upload: Upload | None = None,
        idempotency_key: str | None = None,
    ) -> Any:
        """The JSON of the answer; an `upload` is sent as a form, with `fields`.

        Every POST carries an Idempotency-Key, the same in all its repetitions.

        Raises:
            APIStatusError: the server refuses.
            APIConnectionError: it does not answer.
            UnexpectedAnswer: it answers something else than JSON.
        """
        headers = {"idempotency-key": idempotency_key or str(uuid.uuid4())} if method == "POST" else {}

        def attempt() -> httpx.Response:
            files = None
            if upload is not None:
                field, name, file = upload
                file.seek(0)
                files = {field: (name, file)}
            request = self._client.build_request(
                method,
                self.base_url + path,
                params={key: value for key, value in (query or {}).items() if value is not None},
                json=body,
                data=fields,
                files=files,
                headers=headers,
            )
            return self._client.send(request)

        response = self._repeat(attempt)
        if not response.is_success:
            raise status_error(response)
        try:
            return response.json()
        except ValueError:
            raise UnexpectedAnswer(f"{method} {self.base_url}{path}: the answer is no JSON") from None

    @contextmanager
    def stream(
        self, path: str, *, query: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> Generator[httpx.Response]:
        """The answer to a GET with the key, its body yet to be read."""
        with self._stream(self._client, self.base_url + path, query, headers) as response:
            yield response

    @contextmanager
    def stream_bare(self, url: str, *, headers: Mapping[str, str] | None = None) -> Generator[httpx.Response]:
        """The answer to a GET of a presigned link, without the key, its body yet to be read."""
        with self._stream(self._bare, url, None, headers) as response:
            yield response

    @contextmanager
    def _stream(
        self,
        client: httpx.Client,
        url: str,
        query: Mapping[str, Any] | None,
        headers: Mapping[str, str] | None,
    ) -> Generator[httpx.Response]:
        # Digests are those of the bytes as stored: nothing on the way should compress them.
        request = client.build_request(
            "GET", url, params=query, headers={"accept-encoding": "identity", **(headers or {})}
        )

        def attempt() -> httpx.Response:
            return client.send(request, stream=True)

        response = self._repeat(attempt)
        try:
            if not response.is_success:
                response.read()
                raise status_error(response)
            yield response
        except httpx.TransportError as error:
            raise connection_error(error, request) from error
        finally:
            response.close()

    def _repeat(self, attempt: Callable[[], httpx.Response]) -> httpx.Response:
        """The first answer that is not to be repeated, or the last one."""
        for failures in range(self._max_retries + 1):
            last = failures == self._max_retries
            try:
                response = attempt()
            except httpx.TransportError as error:
                if last or isinstance(error, httpx.UnsupportedProtocol):
                    raise connection_error(error, error.request) from error
                waiting.sleep(backoff(failures))
                continue
            except httpx.InvalidURL as error:
                raise APIConnectionError(f"{self.base_url} is no valid URL: {error}") from error
            wait = retry_after(response)
            if last or not retryable(response) or (wait or 0) > LONGEST_RETRY_AFTER:
                return response
            response.close()
            waiting.sleep(backoff(failures) if wait is None else wait)
        raise AssertionError("unreachable")
