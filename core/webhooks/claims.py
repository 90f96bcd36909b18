"""Deliveries of webhooks: claimed, leased, fenced and reaped as jobs are."""

import random
from datetime import timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from core.db import after_commit, lock
from core.leases import Limits, expired, hold
from core.models import WebhookDelivery, WebhookEndpoint, attempt_token
from core.queue import ring
from core.webhooks.message import Message, compose
from core.webhooks.sending import GONE, Outcome

# Seconds between a failed try and the next: almost three days in all.
PAUSES = (5, 30, 120, 600, 3600, 6 * 3600, 12 * 3600, 24 * 3600, 24 * 3600)
JITTER = 0.2  # of a pause, more or less: receivers that come back are not asked by everybody at once


def claim(session: Session, *, lease: float) -> tuple[int, Message] | None:
    """(token, message) of the next try that is due. Endpoints take turns, and none has two tries at once: one that is
    slow or dead never has more than one worker's slot.
    """
    lock(session, "claim of deliveries")  # one claim at a time, or an endpoint could get two
    busy = select(WebhookDelivery.endpoint_id).where(WebhookDelivery.token.is_not(None))
    found = session.execute(
        select(WebhookDelivery, WebhookEndpoint)
        .join(WebhookEndpoint, WebhookEndpoint.id == WebhookDelivery.endpoint_id)
        .where(
            WebhookDelivery.status == "pending",
            WebhookDelivery.deliver_at <= func.now(),
            WebhookDelivery.endpoint_id.not_in(busy),
        )
        .order_by(WebhookEndpoint.last_tried_at.nulls_first(), WebhookDelivery.deliver_at, WebhookDelivery.event_id)
        .limit(1)
        # No key update: an event that is inserted for the endpoint just now is no reason to skip it.
        .with_for_update(key_share=True, skip_locked=True)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if found is None:
        return None
    delivery, endpoint = found
    token = session.scalars(select(attempt_token.next_value())).one()
    message = compose(
        session,
        endpoint,
        id=delivery.event_id,
        type=delivery.event_type,
        job_id=delivery.job_id,
        created_at=int(delivery.created_at.timestamp()),
    )
    delivery.token = token
    delivery.lease_expires_at = func.now() + timedelta(seconds=lease)
    delivery.tries += 1
    endpoint.last_tried_at = func.now()
    after_commit(session, lambda: ring("cpu"))  # where one waited there may be more, and other slots idle
    return token, message


def heartbeat(session: Session, *, token: int, lease: float) -> None:
    """Renew the lease.

    Raises:
        Replaced: the token is no longer the delivery's.
    """
    hold(session, WebhookDelivery, token=token, lease=lease)


def finish(session: Session, *, token: int, lease: float, url: str, outcome: Outcome) -> None:
    """Write how a try has ended: the event is delivered, given up, or tried again after a pause.

    A receiver that answers 410 wants no more: its endpoint is disabled, and what it still waits for is given up; unless
    the endpoint has another URL by now.

    Args:
        url: where the try went.

    Raises:
        Replaced: the token is no longer the delivery's.
    """
    # First: an endpoint is locked before its deliveries.
    gone = outcome.status_code == GONE and _disable_endpoint(session, token=token, url=url)
    delivery = hold(session, WebhookDelivery, token=token, lease=lease)
    delivery.token = delivery.lease_expires_at = None
    delivery.status_code, delivery.reason = outcome.status_code, outcome.reason
    if outcome.delivered:
        _end(delivery, status="delivered")
    elif gone:
        _give_up(session, endpoint_id=delivery.endpoint_id)
    elif delivery.tries > len(PAUSES):
        _end(delivery, status="failed")
    else:
        pause = PAUSES[delivery.tries - 1] * random.uniform(1 - JITTER, 1 + JITTER)
        delivery.deliver_at = func.now() + timedelta(seconds=pause)


def _disable_endpoint(session: Session, *, token: int, url: str) -> bool:
    """False where the endpoint has another URL by now."""
    told = select(WebhookDelivery.endpoint_id).where(WebhookDelivery.token == token).scalar_subquery()
    disabled = session.scalar(
        update(WebhookEndpoint)
        .where(WebhookEndpoint.id == told, WebhookEndpoint.url == url)
        .values(disabled_at=func.now())
        .returning(WebhookEndpoint.id)
    )
    return disabled is not None


def _give_up(session: Session, *, endpoint_id: str) -> None:
    pending = WebhookDelivery.endpoint_id == endpoint_id, WebhookDelivery.status == "pending"
    session.execute(update(WebhookDelivery).where(*pending).values(status="failed", ended_at=func.now()))


def _end(delivery: WebhookDelivery, *, status: str) -> None:
    delivery.status = status
    delivery.ended_at = func.now()


def reap(session: Session, *, limits: Limits) -> int:
    """Give back the deliveries whose try has been silent for longer than its lease; answers how many.

    The next try follows at once. A receiver may then hear of an event twice, under the same id.
    """
    lost = expired(session, WebhookDelivery, limits=limits)
    for delivery in lost:
        delivery.token = delivery.lease_expires_at = None
        delivery.status_code, delivery.reason = None, "the worker was lost"
        if delivery.tries > len(PAUSES):
            _end(delivery, status="failed")
    if lost:
        after_commit(session, lambda: ring("cpu"))
    return len(lost)
