"""Signatures of Standard Webhooks: base64 of HMAC-SHA256 over `id.timestamp.body`."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable

PREFIX = "whsec_"
_RANDOM = 24  # bytes, as base64 without padding


def new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(_RANDOM)).decode()


def hint(secret: str) -> str:
    """What may be shown of a secret, for people who look for the right one."""
    return f"{PREFIX}...{secret[-4:]}"


def sign(*, secrets: Iterable[str], id: str, timestamp: int, body: bytes) -> str:
    """The header `webhook-signature`: one signature for each secret, any of which satisfies a receiver."""
    signed = f"{id}.{timestamp}.".encode() + body
    return " ".join(f"v1,{_mac(secret, signed)}" for secret in secrets)


def _mac(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
