"""One try to tell an endpoint of an event."""

import asyncio
import logging
import ssl
import time
from dataclasses import dataclass

import httpx

from core.webhooks.message import Message
from core.webhooks.targets import TargetRefused, resolve

SECONDS = 10.0  # for all of a try: look-up, connection, TLS, and the answer's status
CONNECT_SECONDS = 4.0  # for each of the host's addresses
GONE = 410

# It would log each URL, and a receiver's may hold a secret.
logging.getLogger("httpx").setLevel(logging.WARNING)


@dataclass(frozen=True)
class Outcome:
    """What the receiver answered, or why it could not: one of the two."""

    status_code: int | None = None
    reason: str | None = None

    @property
    def delivered(self) -> bool:
        return self.status_code is not None and 200 <= self.status_code < 300


def send(message: Message, *, private: bool) -> Outcome:
    """Tell the endpoint; takes at most SECONDS. No transaction may be open meanwhile.

    Args:
        private: addresses that are not public are allowed.
    """
    url = httpx.URL(message.url)
    deadline = time.monotonic() + SECONDS
    try:
        addresses = resolve(url, private=private, seconds=SECONDS)
        return Outcome(status_code=asyncio.run(_post(message, url, addresses, seconds=deadline - time.monotonic())))
    except TargetRefused as error:
        return Outcome(reason=str(error))
    except (TimeoutError, httpx.TimeoutException):
        return Outcome(reason=f"no answer within {SECONDS:.0f} s")
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        return Outcome(reason=f"{type(error).__name__}: {error}"[:200])


async def _post(message: Message, url: httpx.URL, addresses: list[str], *, seconds: float) -> int:
    """The status of the first address that can be connected to. The rest of the answer is not read."""
    body = message.body()
    host = url.raw_host.decode()
    # The machine's authorities, and not httpx's own list: on premises there are others.
    async with (
        asyncio.timeout(seconds),
        httpx.AsyncClient(
            verify=ssl.create_default_context(),
            trust_env=False,  # a proxy would connect to what it resolves by itself
            follow_redirects=False,
            timeout=httpx.Timeout(SECONDS, connect=CONNECT_SECONDS),
        ) as client,
    ):
        for address in addresses:
            # To the address that was checked; for TLS and the receiver it is the host of the URL.
            request = client.build_request(
                "POST",
                url.copy_with(host=address),
                content=body,
                headers={"host": url.netloc.decode(), **message.headers(body)},
                extensions={"sni_hostname": host},
            )
            try:
                response = await client.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if address == addresses[-1]:
                    raise
                continue
            await response.aclose()
            return response.status_code
    raise AssertionError("there is no host without an address")
