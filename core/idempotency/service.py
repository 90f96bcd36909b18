"""`Idempotency-Key`: one request, however often it is sent, does what it asks for once.

The answer is stored by the transaction that does the work. A process that dies between commit and response therefore
costs nothing: the client sends the request again and gets the answer that was lost. Only what succeeded is kept; a
refused request has done nothing, and may be mended and sent again under the same key.
"""

import hashlib
from typing import Any

from sqlalchemy.orm import Session

from core.db import lock, try_lock
from core.errors import InvalidRequest, TunesmithError
from core.idempotency import repository
from core.models import IdempotencyKey

LONGEST_KEY = 255


class KeyReused(InvalidRequest):
    code = "idempotency_key_reused"


class InFlight(TunesmithError):
    """The one 409 of this API: its client should send the request again, as it does by itself."""

    status = 409
    type = "invalid_request_error"
    code = "idempotency_key_in_flight"
    retry_after = 1.0


class Replay(Exception):
    """Not an error: the request has been answered before, and this is the answer."""

    def __init__(self, kept: IdempotencyKey) -> None:
        super().__init__(kept.key)
        self.status_code: int = kept.status_code
        self.response: dict[str, Any] = kept.response


def check_key(key: str) -> str:
    """Raises InvalidRequest where the header's value is no key."""
    if not 0 < len(key) <= LONGEST_KEY or not (key.isascii() and key.isprintable()):
        raise InvalidRequest(
            f"Idempotency-Key: must be 1 to {LONGEST_KEY} printable ASCII characters; a random UUID is a good one",
            param="Idempotency-Key",
        )
    return key


def fingerprint(*parts: str | bytes) -> str:
    """SHA-256 over what makes a request this request and no other."""
    digest = hashlib.sha256()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        digest.update(len(raw).to_bytes(8) + raw)
    return digest.hexdigest()


def begin(session: Session, *, project_id: str, key: str, request_sha256: str, wait: bool) -> None:
    """Hold the key until this transaction ends; to be called before anything else is done in it.

    Args:
        wait: for another request that holds the key now, instead of refusing this one.

    Raises:
        Replay: the request has been answered; nothing is to be done.
        KeyReused: the key stands for another request.
        InFlight: another request holds the key now.
    """
    name = f"idempotency:{project_id}:{key}"
    if wait:
        lock(session, name)
    elif not try_lock(session, name):
        raise InFlight("a request with this Idempotency-Key is being served right now; send it again in a moment")
    kept = repository.get(session, project_id=project_id, key=key)
    if kept is None:
        return
    if kept.request_sha256 != request_sha256:
        raise KeyReused(
            "Idempotency-Key: was used for another request; use a new key, or repeat that request exactly",
            param="Idempotency-Key",
        )
    raise Replay(kept)


def keep(session: Session, *, project_id: str, key: str, request_sha256: str, response: dict[str, Any]) -> None:
    """Store the answer of what this transaction has done."""
    session.add(
        IdempotencyKey(
            project_id=project_id, key=key, request_sha256=request_sha256, status_code=200, response=response
        )
    )
    session.flush()
