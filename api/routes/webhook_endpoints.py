from typing import Annotated

from fastapi import APIRouter, Depends, Query

from api.body import described_by, json_body
from api.deps import After, EngineDep, OwnerDep, SessionDep, SettingsDep
from api.once import OnceDep
from api.schemas.page import ListPage
from api.schemas.webhook_endpoint import (
    EventTypePage,
    RotationSpec,
    WebhookDeliveryObject,
    WebhookEndpointChange,
    WebhookEndpointDeleted,
    WebhookEndpointObject,
    WebhookEndpointSpec,
    WebhookEndpointWithSecret,
    WebhookTestResult,
    WebhookTestSpec,
)
from core.db import session_scope
from core.webhooks import repository, service
from core.webhooks.event_types import EVENT_TYPES

router = APIRouter(tags=["webhooks"])
PATH = "/webhook_endpoints"
Limit = Annotated[int, Query(ge=1, le=100)]


@router.get("/webhook_event_types")
def list_webhook_event_types() -> EventTypePage:
    """What an endpoint may be told of."""
    return EventTypePage(data=list(EVENT_TYPES))


@router.post(PATH, openapi_extra=described_by(WebhookEndpointSpec))
def create_webhook_endpoint(
    spec: Annotated[WebhookEndpointSpec, Depends(json_body(WebhookEndpointSpec))],
    owner: OwnerDep,
    session: SessionDep,
    settings: SettingsDep,
    once: OnceDep,
) -> WebhookEndpointWithSecret:
    """Have the ends of this project's jobs told to a URL. The secret that signs them is shown now, and never again."""
    endpoint = service.create(
        session,
        owner=owner,
        name=spec.name,
        url=spec.url,
        event_types=spec.event_types,
        private=settings.webhook_private_targets,
    )
    return once.keep(WebhookEndpointWithSecret.of(endpoint))


@router.get(PATH)
def list_webhook_endpoints(
    owner: OwnerDep, session: SessionDep, after: After = None, limit: Limit = 20
) -> ListPage[WebhookEndpointObject]:
    """Endpoints, newest first."""
    page = repository.endpoints(session, owner=owner, after=after, limit=limit)
    return ListPage.of([WebhookEndpointObject.of(endpoint) for endpoint in page.items], has_more=page.has_more)


@router.get(PATH + "/{webhook_endpoint_id}")
def retrieve_webhook_endpoint(webhook_endpoint_id: str, owner: OwnerDep, session: SessionDep) -> WebhookEndpointObject:
    """One endpoint, without its secret."""
    return WebhookEndpointObject.of(repository.get(session, owner=owner, endpoint_id=webhook_endpoint_id))


@router.post(PATH + "/{webhook_endpoint_id}", openapi_extra=described_by(WebhookEndpointChange))
def update_webhook_endpoint(
    webhook_endpoint_id: str,
    change: Annotated[WebhookEndpointChange, Depends(json_body(WebhookEndpointChange))],
    owner: OwnerDep,
    session: SessionDep,
    settings: SettingsDep,
) -> WebhookEndpointObject:
    """Change an endpoint. With a `url`, be it the same, one that its receiver has disabled is enabled again."""
    endpoint = service.change(
        session,
        owner=owner,
        endpoint_id=webhook_endpoint_id,
        name=change.name,
        url=change.url,
        event_types=change.event_types,
        private=settings.webhook_private_targets,
    )
    return WebhookEndpointObject.of(endpoint)


@router.delete(PATH + "/{webhook_endpoint_id}")
def delete_webhook_endpoint(webhook_endpoint_id: str, owner: OwnerDep, session: SessionDep) -> WebhookEndpointDeleted:
    """Delete an endpoint; what it has not been told yet, it never will be."""
    service.delete(session, owner=owner, endpoint_id=webhook_endpoint_id)
    return WebhookEndpointDeleted(id=webhook_endpoint_id)


@router.post(PATH + "/{webhook_endpoint_id}/rotate_secret", openapi_extra=described_by(RotationSpec))
def rotate_webhook_secret(
    webhook_endpoint_id: str,
    spec: Annotated[RotationSpec, Depends(json_body(RotationSpec))],
    owner: OwnerDep,
    session: SessionDep,
    once: OnceDep,
) -> WebhookEndpointWithSecret:
    """Make a new secret, shown now and never again. Where the old one is kept, both sign for 24 hours."""
    endpoint = service.rotate_secret(
        session, owner=owner, endpoint_id=webhook_endpoint_id, keep_old=spec.keep_old_secret_active_for_24_hours
    )
    return once.keep(WebhookEndpointWithSecret.of(endpoint))


@router.post(PATH + "/{webhook_endpoint_id}/test", openapi_extra=described_by(WebhookTestSpec))
def test_webhook_endpoint(
    webhook_endpoint_id: str,
    spec: Annotated[WebhookTestSpec, Depends(json_body(WebhookTestSpec))],
    owner: OwnerDep,
    engine: EngineDep,
    settings: SettingsDep,
) -> WebhookTestResult:
    """Send a sample event now, once, and tell what the receiver answers within 10 seconds."""
    with session_scope(engine) as session:
        message = service.sample(session, owner=owner, endpoint_id=webhook_endpoint_id, event_type=spec.event_type)
    status_code = service.test(message, private=settings.webhook_private_targets)
    return WebhookTestResult(
        webhook_endpoint_id=webhook_endpoint_id, event_type=spec.event_type, status_code=status_code
    )


@router.get(PATH + "/{webhook_endpoint_id}/deliveries")
def list_webhook_deliveries(
    webhook_endpoint_id: str, owner: OwnerDep, session: SessionDep, after: After = None, limit: Limit = 20
) -> ListPage[WebhookDeliveryObject]:
    """What the endpoint was told, or is still to be told, newest first; for a week after it ended."""
    endpoint = repository.get(session, owner=owner, endpoint_id=webhook_endpoint_id)
    page = repository.deliveries(session, endpoint_id=endpoint.id, after=after, limit=limit)
    return ListPage.of([WebhookDeliveryObject.of(delivery) for delivery in page.items], has_more=page.has_more)
