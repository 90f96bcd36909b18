"""What clients ask of webhooks, and what a job says when it ends."""

import threading
from datetime import timedelta

from sqlalchemy import func
from sqlalchemy.orm import Session

from core.access.owner import Owner
from core.access.service import require_project
from core.db import after_commit, lock
from core.errors import InvalidState, Unavailable
from core.ids import new_id
from core.models import Job, WebhookDelivery, WebhookEndpoint
from core.queue import ring
from core.webhooks import repository, signing
from core.webhooks.event_types import EventType
from core.webhooks.message import Message, compose
from core.webhooks.sending import send
from core.webhooks.targets import check_url

MOST_ENDPOINTS = 50  # of a project: the end of each of its jobs inserts a row for every one
KEPT_HOURS = 24  # the secret before a rotation, where it is kept
SAMPLE_JOB = "ftjob-test"  # what a test tells of; there is no such job

# A test holds a thread of the process for as long as its receiver likes, up to the limit of a try.
_testing = threading.BoundedSemaphore(4)


class ReceiverUnreached(InvalidState):
    """A test got no answer, so that there is no status to tell."""

    code = "webhook_receiver_unreached"


class TestsBusy(Unavailable):
    retry_after = 2.0


def create(
    session: Session, *, owner: Owner, name: str, url: str, event_types: list[EventType], private: bool
) -> WebhookEndpoint:
    """Insert an endpoint with a secret of its own.

    Args:
        private: plain http, and addresses that are not public, are allowed.

    Raises:
        NotAllowed: an operator key.
        InvalidRequest: the URL is none that may be told.
        InvalidState: the project has as many as it may have.
    """
    project_id = require_project(owner)
    check_url(url, private=private)
    lock(session, f"webhook endpoints of {project_id}")
    if repository.count(session, project_id=project_id) >= MOST_ENDPOINTS:
        raise InvalidState(f"a project has at most {MOST_ENDPOINTS} webhook endpoints: delete one first")
    endpoint = WebhookEndpoint(
        id=new_id("we_"),
        project_id=project_id,
        name=name,
        url=url,
        event_types=list(dict.fromkeys(event_types)),
        signing_secret=signing.new_secret(),
    )
    session.add(endpoint)
    session.flush()
    return endpoint


def change(
    session: Session,
    *,
    owner: Owner,
    endpoint_id: str,
    name: str | None,
    url: str | None,
    event_types: list[EventType] | None,
    private: bool,
) -> WebhookEndpoint:
    """Set what is given. A URL, be it the same, enables an endpoint again that its receiver has disabled.

    Raises:
        NotFound: this owner has no such endpoint.
        InvalidRequest: the URL is none that may be told.
    """
    endpoint = repository.get(session, owner=owner, endpoint_id=endpoint_id, lock=True)
    if url is not None:
        check_url(url, private=private)
        endpoint.url, endpoint.disabled_at = url, None
    if name is not None:
        endpoint.name = name
    if event_types is not None:
        endpoint.event_types = list(dict.fromkeys(event_types))
    if session.is_modified(endpoint):
        endpoint.updated_at = func.now()
    session.flush()
    return endpoint


def rotate_secret(session: Session, *, owner: Owner, endpoint_id: str, keep_old: bool) -> WebhookEndpoint:
    """Give the endpoint a new secret; `keep_old`: for KEPT_HOURS the old one signs as well.

    Raises:
        NotFound: this owner has no such endpoint.
    """
    endpoint = repository.get(session, owner=owner, endpoint_id=endpoint_id, lock=True)
    endpoint.previous_secret = endpoint.signing_secret if keep_old else None
    endpoint.previous_secret_expires_at = func.now() + timedelta(hours=KEPT_HOURS) if keep_old else None
    endpoint.signing_secret = signing.new_secret()
    endpoint.updated_at = func.now()
    session.flush()
    return endpoint


def delete(session: Session, *, owner: Owner, endpoint_id: str) -> None:
    """Delete an endpoint with all that it was and would have been told.

    Raises:
        NotFound: this owner has no such endpoint.
    """
    endpoint = repository.get(session, owner=owner, endpoint_id=endpoint_id, lock=True)
    repository.delete_deliveries(session, endpoint_id=endpoint.id)
    session.delete(endpoint)


def sample(session: Session, *, owner: Owner, endpoint_id: str, event_type: EventType) -> Message:
    """An event for a test of the endpoint, as a job would make it.

    Raises:
        NotFound: this owner has no such endpoint.
    """
    endpoint = repository.get(session, owner=owner, endpoint_id=endpoint_id)
    return compose(session, endpoint, id=new_id("evt_"), type=event_type, job_id=SAMPLE_JOB)


def test(message: Message, *, private: bool) -> int:
    """Send a sample, once; answers the receiver's status. No transaction may be open meanwhile.

    Raises:
        TestsBusy: this process sends as many tests as it may.
        ReceiverUnreached: there is no answer.
    """
    if not _testing.acquire(blocking=False):
        raise TestsBusy("other webhooks are being tested right now; try again in a moment")
    try:
        outcome = send(message, private=private)
    finally:
        _testing.release()
    if outcome.status_code is None:
        raise ReceiverUnreached(f"the endpoint was not reached: {outcome.reason}")
    return outcome.status_code


def job_ended(session: Session, job: Job) -> None:
    """Insert what the project's endpoints have to be told, in the transaction that ends the job."""
    event_type, event_id = f"fine_tuning.job.{job.status}", new_id("evt_")
    wanting = repository.wanting(session, project_id=job.project_id, event_type=event_type)
    for endpoint_id in wanting:
        session.add(
            WebhookDelivery(
                endpoint_id=endpoint_id,
                event_id=event_id,
                event_type=event_type,
                job_id=job.id,
                deliver_at=func.now(),
            )
        )
    if wanting:
        after_commit(session, lambda: ring("cpu"))
