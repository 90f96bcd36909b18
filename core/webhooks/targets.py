"""Where webhooks may go: to public addresses, or an endpoint of anybody's would reach into the operator's network."""

import queue
import re
import socket
import threading
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

import httpx

from core.errors import InvalidRequest

LONGEST_URL = 2048
_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
# Everything else in IPv6 is local, or leads to IPv4 addresses: ::ffff:0:0/96, 64:ff9b::/96.
_GLOBAL_UNICAST = IPv6Network("2000::/3")

Address = IPv4Address | IPv6Address


class TargetRefused(Exception):
    """The host can't be found, or lies where webhooks may not go."""


def check_url(url: str, *, private: bool) -> None:
    """Refuse what could never be delivered to. A name is looked up at each delivery, and not here.

    Args:
        private: plain http, and addresses that are not public, are allowed.

    Raises:
        InvalidRequest: it is no such URL.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise _refused(f"is no URL: {error}") from None
    schemes = ("https", "http") if private else ("https",)
    if parsed.scheme not in schemes:
        raise _refused(f"must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}; given {parsed.scheme!r}")
    if parsed.userinfo:
        raise _refused("must not hold a user or a password")
    if parsed.port is not None and not 0 < parsed.port < 65536:
        raise _refused(f"ports run from 1 to 65535; given {parsed.port}")
    host = parsed.raw_host.decode()
    address = _literal(host)
    if address is None and not _NAME.fullmatch(host):
        raise _refused(f"has no host that could be looked up; given {host!r}")
    if address is not None and not private and not is_public(address):
        raise _refused(f"{host} is not a public address; the operator of this service may allow such targets")


def resolve(url: httpx.URL, *, private: bool, seconds: float) -> list[str]:
    """The addresses to connect to, in the order in which to try them.

    Raises:
        TargetRefused: there is none within so many seconds, or not all of them are public and `private` is not set.
    """
    host = url.raw_host.decode()
    addresses = list(dict.fromkeys(_look_up(host, seconds=seconds)))
    if not private and not all(is_public(ip_address(address)) for address in addresses):
        raise TargetRefused(f"{host} has an address that is not public")
    return addresses


def is_public(address: Address) -> bool:
    """False for what is private, shared, loopback, link-local, multicast, reserved, unspecified or translated."""
    if isinstance(address, IPv6Address) and (address not in _GLOBAL_UNICAST or address.sixtofour or address.teredo):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _literal(host: str) -> Address | None:
    """The address that the host is; `127.1` and `0x7f000001`, which resolvers understand, are addresses too."""
    try:
        return ip_address(host)
    except ValueError:
        pass
    try:
        return ip_address(socket.inet_aton(host))
    except OSError:
        return None


def _look_up(host: str, *, seconds: float) -> list[str]:
    """In a thread, as nothing else limits how long a resolver takes; one that is given up ends by itself."""
    answers: queue.SimpleQueue[list[str] | OSError | UnicodeError] = queue.SimpleQueue()

    def look() -> None:
        try:
            answers.put([str(info[4][0]) for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)])
        except (OSError, UnicodeError) as error:  # a label that is too long is the latter
            answers.put(error)

    threading.Thread(target=look, name="look-up", daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        raise TargetRefused(f"{host} was not found within {seconds:.0f} s") from None
    if isinstance(answer, Exception):
        raise TargetRefused(f"{host} was not found")
    return answer


def _refused(why: str) -> InvalidRequest:
    return InvalidRequest(f"url: {why}", param="url")
