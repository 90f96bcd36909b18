"""SQL about all projects at once: only operators' routes and `/metrics` may call it."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, extract, func, select
from sqlalchemy.orm import Session

from core.access.owner import Owner
from core.models import Attempt, File, Job, WebhookDelivery
from core.overview.repository import queue, waiting


@dataclass(frozen=True)
class Queue:
    """depth: how many wait. running: how many a worker has. oldest_wait: seconds since the oldest that waits
    was last queued (a job), uploaded (a file) or due (a webhook); 0 where none does."""

    depth: int
    running: int
    oldest_wait: float


def queues(session: Session, *, owner: Owner) -> dict[str, Queue]:
    """What waits for workers and what they are at: jobs (`train`), validations of files (`cpu`), deliveries of webhooks
    whose next try is due (`webhooks`, which `cpu` workers do beside).

    Args:
        owner: an operator.
    """
    unvalidated, pending = File.status == "uploaded", WebhookDelivery.status == "pending"
    due = WebhookDelivery.deliver_at <= func.now()
    # As core.files.claims and core.webhooks.claims take them.
    files = waiting(session, File.created_at, unvalidated, File.token.is_(None), File.purged_at.is_(None))
    webhooks = waiting(session, WebhookDelivery.deliver_at, pending, WebhookDelivery.token.is_(None), due)
    return {
        "train": _queue(session, queue(session, owner=owner), Job.token.is_not(None)),
        "cpu": _queue(session, files, unvalidated, File.token.is_not(None)),
        "webhooks": _queue(session, webhooks, WebhookDelivery.token.is_not(None)),
    }


def _queue(session: Session, waits: tuple[int, float], *runs: ColumnElement[bool]) -> Queue:
    depth, oldest_wait = waits
    return Queue(depth, session.scalar(select(func.count()).where(*runs)) or 0, oldest_wait)


def event_lag(session: Session) -> float:
    """Seconds for which something that a trainer has said waits to be recorded: the most of all running attempts."""
    most = select(func.max(Attempt.event_lag_seconds)).join(Job, Job.token == Attempt.token)
    return session.scalar(most.where(Job.token.is_not(None))) or 0.0


def running(session: Session, *, tokens: list[int]) -> dict[int, tuple[str, float]]:
    """(job, seconds since it began) of those attempts, by token."""
    seconds = extract("epoch", func.now() - Attempt.started_at)
    rows = session.execute(select(Attempt.token, Attempt.job_id, seconds).where(Attempt.token.in_(tokens)))
    return {token: (job_id, float(age)) for token, job_id, age in rows}
