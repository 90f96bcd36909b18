from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from api.schemas.page import unix, unix_or_none
from core.models import WebhookDelivery, WebhookEndpoint
from core.specs.file import NullMeansDefault
from core.specs.strict import Strict
from core.webhooks import signing
from core.webhooks.event_types import EVENT_TYPES, EventType
from core.webhooks.targets import LONGEST_URL

Name = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Url = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_URL)]
EventTypes = Annotated[list[EventType], Field(min_length=1, max_length=len(EVENT_TYPES))]


class WebhookEndpointSpec(Strict):
    """The body that creates an endpoint."""

    name: Name
    url: Url
    event_types: EventTypes


class WebhookEndpointChange(NullMeansDefault):
    """What to change of an endpoint; the rest stays. A URL, be it the same, enables it again."""

    name: Name | None = None
    url: Url | None = None
    event_types: EventTypes | None = None


class RotationSpec(NullMeansDefault):
    """The body of `POST …/rotate_secret`."""

    keep_old_secret_active_for_24_hours: bool = False


class WebhookTestSpec(Strict):
    """The body of `POST …/test`."""

    event_type: EventType


class WebhookEndpointObject(BaseModel):
    id: str
    object: Literal["webhook_endpoint"] = "webhook_endpoint"
    created_at: int
    updated_at: int
    name: str
    url: str
    event_types: list[str]
    signing_secret_hint: str
    # Ours: disabled, once the receiver has answered 410.
    status: Literal["enabled", "disabled"]

    @classmethod
    def of(cls, endpoint: WebhookEndpoint) -> "WebhookEndpointObject":
        return cls(
            id=endpoint.id,
            created_at=unix(endpoint.created_at),
            updated_at=unix(endpoint.updated_at),
            name=endpoint.name,
            url=endpoint.url,
            event_types=endpoint.event_types,
            signing_secret_hint=signing.hint(endpoint.signing_secret),
            status="enabled" if endpoint.disabled_at is None else "disabled",
        )


class WebhookEndpointWithSecret(WebhookEndpointObject):
    """The only answers that hold the secret are those that made it."""

    signing_secret: str = Field(repr=False)

    @classmethod
    def of(cls, endpoint: WebhookEndpoint) -> "WebhookEndpointWithSecret":
        shown = WebhookEndpointObject.of(endpoint)
        return cls(**shown.model_dump(), signing_secret=endpoint.signing_secret)


class WebhookEndpointDeleted(BaseModel):
    id: str
    object: Literal["webhook_endpoint.deleted"] = "webhook_endpoint.deleted"
    deleted: Literal[True] = True


class WebhookTestResult(BaseModel):
    """The receiver has answered; whether it likes what it got, its status tells."""

    object: Literal["webhook_endpoint.test"] = "webhook_endpoint.test"
    webhook_endpoint_id: str
    event_type: str
    status_code: int
    success: Literal[True] = True


class WebhookDeliveryObject(BaseModel):
    """An event on its way to an endpoint. id: of the event, and the header `webhook-id`."""

    id: str
    object: Literal["webhook_endpoint.delivery"] = "webhook_endpoint.delivery"
    created_at: int
    event_type: str
    job_id: str
    status: Literal["pending", "delivered", "failed"]
    tries: int
    # How the last try ended: what the receiver answered, or why it could not.
    status_code: int | None
    reason: str | None
    next_try_at: int | None
    ended_at: int | None

    @classmethod
    def of(cls, delivery: WebhookDelivery) -> "WebhookDeliveryObject":
        return cls(
            id=delivery.event_id,
            created_at=unix(delivery.created_at),
            event_type=delivery.event_type,
            job_id=delivery.job_id,
            status=delivery.status,  # pyright: ignore[reportArgumentType]
            tries=delivery.tries,
            status_code=delivery.status_code,
            reason=delivery.reason,
            next_try_at=unix(delivery.deliver_at) if delivery.ended_at is None else None,
            ended_at=unix_or_none(delivery.ended_at),
        )


class EventTypePage(BaseModel):
    object: Literal["list"] = "list"
    data: list[EventType]
