"""Requests with the API key, repeated where that is right; and bare downloads without the key."""

import email.utils
import json
import random
import time
import uuid
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

import httpx

from tunesmith.errors import APIConnectionError, APIStatusError, UnexpectedAnswer, status_error_class

FIRST_BACKOFF = 0.5  # seconds; doubles with each repetition
LONGEST_BACKOFF = 8.0  # seconds
LONGEST_RETRY_AFTER = 60.0  # seconds; a server that asks for more gets its refusal passed on at once
RETRIED = frozenset({408, 409, 429})
# A proxy has no business between a machine and itself, whatever the environment says.
LOOPBACK: dict[str, httpx.BaseTransport | None] = {
    "all://127.0.0.1": None,
    "all://localhost": None,
    "all://[::1]": None,
}
sleep = time.sleep


class Transport:
    """Sends requests to the API.

    Args:
        base_url: where the API is, with its `/v1`.
        timeout: seconds without any byte after which a request counts as failed.
        max_retries: how often a request is repeated after its first failure.
    """

    def __init__(self, *, base_url: str, api_key: str, timeout: float, max_retries: int) -> None:
        self._base_url = base_url.rstrip("/")
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
        upload: tuple[str, BinaryIO] | None = None,
    ) -> Any:
        """The JSON of the answer; `upload` is a file's name and its open, seekable bytes, sent with `fields`.

        Every POST carries an Idempotency-Key, the same in all its repetitions.

        Raises:
            APIStatusError: the server refuses.
            APIConnectionError: it does not answer.
            UnexpectedAnswer: it answers something else than JSON.
        """
        headers = {"idempotency-key": str(uuid.uuid4())} if method == "POST" else {}

        def attempt() -> httpx.Response:
            files = None
            if upload is not None:
                upload[1].seek(0)
                files = {"file": upload}
            request = self._client.build_request(
                method,
                self._base_url + path,
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
            raise UnexpectedAnswer(f"{method} {self._base_url}{path}: the answer is no JSON") from None

    @contextmanager
    def stream(self, path: str) -> Generator[httpx.Response]:
        """The answer to a GET with the key, its body yet to be read."""
        with self._stream(self._client, self._base_url + path) as response:
            yield response

    @contextmanager
    def stream_bare(self, url: str) -> Generator[httpx.Response]:
        """The answer to a GET of a presigned link, without the key, its body yet to be read."""
        with self._stream(self._bare, url) as response:
            yield response

    @contextmanager
    def _stream(self, client: httpx.Client, url: str) -> Generator[httpx.Response]:
        # Digests are those of the bytes as stored: nothing on the way should compress them.
        request = client.build_request("GET", url, headers={"accept-encoding": "identity"})
        response = self._repeat(lambda: client.send(request, stream=True))
        try:
            if not response.is_success:
                response.read()
                raise status_error(response)
            yield response
        except httpx.TransportError as error:
            raise _connection_error(error, request) from error
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
                    raise _connection_error(error, error.request) from error
                sleep(_backoff(failures))
                continue
            except httpx.InvalidURL as error:
                raise APIConnectionError(f"{self._base_url} is no valid URL: {error}") from error
            wait = retry_after(response)
            if last or not _retryable(response) or (wait or 0) > LONGEST_RETRY_AFTER:
                return response
            response.close()
            sleep(_backoff(failures) if wait is None else wait)
        raise AssertionError("unreachable")


def _retryable(response: httpx.Response) -> bool:
    said = response.headers.get("x-should-retry")
    if said in ("true", "false"):
        return said == "true"
    return response.status_code in RETRIED or response.status_code >= 500


def _backoff(failures: int) -> float:
    """Seconds to wait after so many failures before; partly chance, so that clients do not march in step."""
    return min(FIRST_BACKOFF * 2**failures, LONGEST_BACKOFF) * random.uniform(0.75, 1)


def retry_after(response: httpx.Response) -> float | None:
    """The seconds that the server asks to wait, never negative; None where it does not say."""
    value = response.headers.get("retry-after")
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except ValueError:
            return None
    return max(0.0, seconds) if seconds == seconds else None  # NaN says nothing


def status_error(response: httpx.Response) -> APIStatusError:
    """The error for a refusal whose body has been read: our envelope, or whatever a proxy on the way says."""
    error: Any = None
    try:
        body: Any = response.json()
        error = body.get("error")
    except (json.JSONDecodeError, UnicodeDecodeError, AttributeError):
        pass
    known = cast("dict[str, Any]", error) if isinstance(error, dict) else {}
    return status_error_class(response.status_code)(
        response.status_code,
        str(known.get("message") or response.reason_phrase or "no message"),
        code=known.get("code"),
        param=known.get("param"),
        request_id=response.headers.get("x-request-id"),
    )


def _connection_error(error: httpx.TransportError, request: httpx.Request) -> APIConnectionError:
    # The origin only: a presigned link's query is a secret.
    url = request.url
    where = f"{url.scheme}://{url.netloc.decode('ascii', 'replace')}"
    return APIConnectionError(f"{where} does not answer: {str(error) or type(error).__name__}")
