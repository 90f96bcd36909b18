"""SQL about all projects at once: only operators' routes and `/metrics` may call it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, extract, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from core.jobs.states import QUEUED
from core.models import Attempt, File, Job, WebhookDelivery


@dataclass(frozen=True)
class Queue:
    """depth: how many wait. running: how many a worker has. oldest_wait: seconds since the oldest that waits
    was created, or a webhook was due; 0 where none does."""

    depth: int
    running: int
    oldest_wait: float


def queues(session: Session) -> dict[str, Queue]:
    """What waits for workers and what they are at: jobs (`train`), validations of files (`cpu`), deliveries of webhooks
    whose next try is due (`webhooks`, which `cpu` workers do beside)."""
    unvalidated = File.status == "uploaded"
    return {
        "train": _queue(session, Job.created_at, waits=Job.status == QUEUED, runs=Job.token.is_not(None)),
        "cpu": _queue(
            session,
            File.created_at,
            waits=and_(unvalidated, File.token.is_(None), File.purged_at.is_(None)),  # as core.files.claims takes them
            runs=and_(unvalidated, File.token.is_not(None)),
        ),
        "webhooks": _queue(
            session,
            WebhookDelivery.deliver_at,
            waits=and_(
                WebhookDelivery.status == "pending",
                WebhookDelivery.token.is_(None),
                WebhookDelivery.deliver_at <= func.now(),
            ),
            runs=WebhookDelivery.token.is_not(None),
        ),
    }


def _queue(
    session: Session,
    created: InstrumentedAttribute[datetime],
    *,
    waits: ColumnElement[bool],
    runs: ColumnElement[bool],
) -> Queue:
    age = extract("epoch", func.now() - func.min(created))
    depth, oldest_wait = session.execute(select(func.count(), age).where(waits)).one()
    running = session.scalar(select(func.count()).where(runs))
    return Queue(depth=depth, running=running or 0, oldest_wait=float(oldest_wait or 0))


def event_lag(session: Session) -> float:
    """Seconds for which something that a trainer has said waits to be recorded: the most of all running attempts."""
    most = select(func.max(Attempt.event_lag_seconds)).join(Job, Job.token == Attempt.token)
    return session.scalar(most.where(Job.token.is_not(None))) or 0.0


def running(session: Session, *, tokens: list[int]) -> dict[int, tuple[str, float]]:
    """(job, seconds since it began) of those attempts, by token."""
    seconds = extract("epoch", func.now() - Attempt.started_at)
    rows = session.execute(select(Attempt.token, Attempt.job_id, seconds).where(Attempt.token.in_(tokens)))
    return {token: (job_id, float(age)) for token, job_id, age in rows}
