"""Which URLs may be told, and which addresses they may lead to."""

from ipaddress import ip_address

import httpx
import pytest

from core.errors import InvalidRequest
from core.webhooks.targets import TargetRefused, check_url, is_public, resolve

LOCAL = [
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "0.0.0.0",
    "::",
    "::1",
    "fe80::1",
    "fec0::1",
    "fc00::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "2001:db8::1",
]


@pytest.mark.parametrize("address", LOCAL)
def test_what_is_not_public(address: str) -> None:
    assert not is_public(ip_address(address))
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(InvalidRequest, match="is not a public address"):
        check_url(f"https://{host}/hook", private=False)
    check_url(f"https://{host}/hook", private=True)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111"])
def test_what_is_public(address: str) -> None:
    assert is_public(ip_address(address))
    check_url(f"https://{f'[{address}]' if ':' in address else address}:8443/hook", private=False)


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f000001"])
def test_other_spellings_of_an_address(host: str) -> None:
    with pytest.raises(InvalidRequest, match="is not a public address"):
        check_url(f"https://{host}/", private=False)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://a.example/", "must begin with https://"),
        ("ftp://a.example/", "must begin with https://"),
        ("a.example", "must begin with https://"),
        ("https://user:password@a.example/", "must not hold a user"),
        ("https://a.example\\@127.0.0.1/", "must not hold a user"),
        ("https:///hook", "has no host"),
        ("https://a b.example/", "has no host"),
        ("https://a..example/", "has no host"),
        ("https://a.example./", "has no host"),
        ("https://[fe80::1%25eth0]/", "is not a public address"),
        ("https://a.example:0/", "ports run from 1 to 65535"),
        ("https://a.example:65536/", "ports run from 1 to 65535"),
        ("https://a.example/\n", "is no URL"),
        ("https://\udc80/", "is no URL"),
        ("https://[::1/", "is no URL"),
        ("https://0177.0.0.1/", "is no URL"),
    ],
)
def test_urls_that_are_refused(url: str, why: str) -> None:
    with pytest.raises(InvalidRequest, match=why) as refused:
        check_url(url, private=False)
    assert refused.value.param == "url"


@pytest.mark.parametrize(
    "url", ["https://a.example", "https://münchen.example:8443/ä?b=c", "https://8-8.a_b.example/x"]
)
def test_urls_that_are_taken(url: str) -> None:
    check_url(url, private=False)


def test_a_name_that_leads_to_a_private_address() -> None:
    with pytest.raises(TargetRefused, match="localhost has an address that is not public"):
        resolve(httpx.URL("https://localhost/"), private=False, seconds=10)
    assert "127.0.0.1" in resolve(httpx.URL("https://localhost/"), private=True, seconds=10)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 64 + ".example"])
def test_a_name_that_nobody_has(host: str) -> None:
    with pytest.raises(TargetRefused, match="was not found"):
        resolve(httpx.URL(f"https://{host}/"), private=False, seconds=10)
