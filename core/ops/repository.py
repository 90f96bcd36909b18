"""SQL about all projects at once: only operators' routes and `/metrics` may call it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, extract, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from core.jobs.states import QUEUED, STATES, TERMINAL
from core.models import Attempt, File, Job


@dataclass(frozen=True)
class Queue:
    """depth: how many wait. running: how many a worker has. oldest_wait: seconds since the oldest that waits was
    created; 0 where none does."""

    depth: int
    running: int
    oldest_wait: float


def jobs_by_status(session: Session) -> dict[str, int]:
    """How many unfinished jobs are in which state; zeros too."""
    unfinished = sorted(STATES - TERMINAL)
    rows = session.execute(select(Job.status, func.count()).where(Job.status.in_(unfinished)).group_by(Job.status))
    return {**dict.fromkeys(unfinished, 0), **{status: count for status, count in rows}}


def queues(session: Session) -> dict[str, Queue]:
    """What waits for workers and what they are at, by queue: jobs (`train`), validations of files (`cpu`)."""
    return {
        "train": _queue(session, created=Job.created_at, token=Job.token, waits=Job.status == QUEUED),
        "cpu": _queue(session, created=File.created_at, token=File.token, waits=File.status == "uploaded"),
    }


def _queue(
    session: Session,
    *,
    created: InstrumentedAttribute[datetime],
    token: InstrumentedAttribute[int | None],
    waits: ColumnElement[bool],
) -> Queue:
    waiting = select(func.count(), extract("epoch", func.now() - func.min(created))).where(waits, token.is_(None))
    depth, oldest_wait = session.execute(waiting).one()
    running = session.scalar(select(func.count()).where(token.is_not(None)))
    return Queue(depth=depth, running=running or 0, oldest_wait=float(oldest_wait or 0))


def attempts_by_outcome(session: Session) -> dict[str, int]:
    """All attempts that have ended."""
    ended = select(Attempt.outcome, func.count()).where(Attempt.outcome.is_not(None)).group_by(Attempt.outcome)
    return {str(outcome): count for outcome, count in session.execute(ended)}


def running(session: Session, *, tokens: list[int]) -> dict[int, tuple[str, float]]:
    """(job, seconds since it began) of those attempts, by token."""
    seconds = extract("epoch", func.now() - Attempt.started_at)
    rows = session.execute(select(Attempt.token, Attempt.job_id, seconds).where(Attempt.token.in_(tokens)))
    return {token: (job_id, float(age)) for token, job_id, age in rows}
