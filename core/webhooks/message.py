from dataclasses import dataclass, field

import msgspec
from sqlalchemy.orm import Session

from core.db import transaction_time
from core.models import WebhookEndpoint
from core.webhooks.signing import sign


@dataclass(frozen=True)
class Message:
    """An event on its way to one endpoint. Times are Unix seconds on the database's clock; `sent_at` is of this try."""

    url: str
    secrets: tuple[str, ...] = field(repr=False)
    id: str
    type: str
    job_id: str
    created_at: int
    sent_at: int

    def body(self) -> bytes:
        """The same bytes in every try."""
        event = {"id": self.id, "object": "event", "created_at": self.created_at, "type": self.type}
        return msgspec.json.encode({**event, "data": {"id": self.job_id}})

    def headers(self, body: bytes) -> dict[str, str]:
        return {
            "content-type": "application/json",
            "user-agent": "Tunesmith-Webhooks",
            "webhook-id": self.id,
            "webhook-timestamp": str(self.sent_at),
            "webhook-signature": sign(secrets=self.secrets, id=self.id, timestamp=self.sent_at, body=body),
        }


def compose(
    session: Session, endpoint: WebhookEndpoint, *, id: str, type: str, job_id: str, created_at: int | None = None
) -> Message:
    """The message for a try at the transaction's time, signed by all secrets that are live then.

    Args:
        created_at: when the event happened; null: now.
    """
    now = transaction_time(session)
    secrets = [endpoint.signing_secret]
    if endpoint.previous_secret and endpoint.previous_secret_expires_at and endpoint.previous_secret_expires_at > now:
        secrets.append(endpoint.previous_secret)
    sent_at = int(now.timestamp())
    return Message(
        url=endpoint.url,
        secrets=tuple(secrets),
        id=id,
        type=type,
        job_id=job_id,
        created_at=sent_at if created_at is None else created_at,
        sent_at=sent_at,
    )
