"""SQL about webhook endpoints and their deliveries, as their owners see them."""

from datetime import timedelta

from sqlalchemy import delete, func, literal, select
from sqlalchemy.orm import Session

from core.access.owner import Owner
from core.errors import NotFound
from core.models import WebhookDelivery, WebhookEndpoint
from core.paging import Page, page, unknown_cursor


def get(session: Session, *, owner: Owner, endpoint_id: str, lock: bool = False) -> WebhookEndpoint:
    """The endpoint, locked for a change where asked. Whoever locks deliveries as well locks their endpoint first.

    Raises:
        NotFound: there is none of that id that this owner may see.
    """
    statement = select(WebhookEndpoint).where(WebhookEndpoint.id == endpoint_id, owner.owns(WebhookEndpoint.project_id))
    if lock:
        statement = statement.with_for_update().execution_options(populate_existing=True)
    endpoint = session.scalar(statement)
    if endpoint is None:
        raise NotFound(f"no webhook endpoint {endpoint_id!r}", param="webhook_endpoint_id")
    return endpoint


def endpoints(session: Session, *, owner: Owner, after: str | None, limit: int) -> Page[WebhookEndpoint]:
    """Newest first."""
    mine = owner.owns(WebhookEndpoint.project_id)
    by = (WebhookEndpoint.created_at, WebhookEndpoint.id)
    cursor = None
    if after is not None:
        cursor = session.execute(select(*by).where(WebhookEndpoint.id == after, mine)).one_or_none()
        if cursor is None:
            raise unknown_cursor(after)
    return page(session, select(WebhookEndpoint).where(mine), by=by, after=cursor and tuple(cursor), limit=limit)


def count(session: Session, *, project_id: str) -> int:
    statement = select(func.count()).where(WebhookEndpoint.project_id == project_id)
    return session.scalars(statement).one()


def wanting(session: Session, *, project_id: str, event_type: str) -> list[str]:
    """The ids of the project's endpoints that are to be told of such an event, kept from being deleted meanwhile."""
    statement = select(WebhookEndpoint.id).where(
        WebhookEndpoint.project_id == project_id,
        WebhookEndpoint.disabled_at.is_(None),
        literal(event_type) == WebhookEndpoint.event_types.any_(),
    )
    return list(session.scalars(statement.with_for_update(read=True, key_share=True)))


def deliveries(session: Session, *, endpoint_id: str, after: str | None, limit: int) -> Page[WebhookDelivery]:
    """Newest first; an event's id begins with its time."""
    statement = select(WebhookDelivery).where(WebhookDelivery.endpoint_id == endpoint_id)
    if after is not None and session.get(WebhookDelivery, (endpoint_id, after)) is None:
        raise unknown_cursor(after)
    cursor = None if after is None else (after,)
    return page(session, statement, by=(WebhookDelivery.event_id,), after=cursor, limit=limit)


def delete_deliveries(session: Session, *, endpoint_id: str) -> None:
    session.execute(delete(WebhookDelivery).where(WebhookDelivery.endpoint_id == endpoint_id))


def delete_ended(session: Session, *, seconds: float) -> None:
    """Forget the deliveries that ended, well or badly, so many seconds ago."""
    ended = WebhookDelivery.ended_at < func.now() - timedelta(seconds=seconds)
    session.execute(delete(WebhookDelivery).where(ended))
