"""SQL about all projects at once: only operators' routes and `/metrics` may call it."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import extract, func, select
from sqlalchemy.orm import Session

from core.jobs.states import QUEUED, STATES, TERMINAL
from core.models import Attempt, File, Job


@dataclass(frozen=True)
class Queue:
    """depth: how many wait. oldest_wait: seconds that the oldest of them has waited; 0 where none does."""

    depth: int
    oldest_wait: float


def jobs_by_status(session: Session) -> dict[str, int]:
    """How many unfinished jobs are in which state; zeros too."""
    unfinished = sorted(STATES - TERMINAL)
    rows = session.execute(select(Job.status, func.count()).where(Job.status.in_(unfinished)).group_by(Job.status))
    return {**dict.fromkeys(unfinished, 0), **{status: count for status, count in rows}}


def queues(session: Session) -> dict[str, Queue]:
    """What waits for workers, by queue."""
    train = session.execute(
        select(func.count(), func.min(Job.created_at)).where(Job.status == QUEUED).add_columns(func.now())
    ).one()
    cpu = session.execute(
        select(func.count(), func.min(File.created_at))
        .where(File.status == "uploaded", File.token.is_(None))
        .add_columns(func.now())
    ).one()
    return {name: _queue(*row) for name, row in (("train", train), ("cpu", cpu))}


def _queue(depth: int, oldest: Any, now: Any) -> Queue:
    return Queue(depth=depth, oldest_wait=(now - oldest).total_seconds() if oldest else 0.0)


def attempts_by_outcome(session: Session) -> dict[str, int]:
    """All attempts that have ended."""
    ended = select(Attempt.outcome, func.count()).where(Attempt.outcome.is_not(None)).group_by(Attempt.outcome)
    return {str(outcome): count for outcome, count in session.execute(ended)}


def running(session: Session, *, tokens: list[int]) -> dict[int, tuple[str, float]]:
    """(job, seconds since it began) of those attempts, by token."""
    seconds = extract("epoch", func.now() - Attempt.started_at)
    rows = session.execute(select(Attempt.token, Attempt.job_id, seconds).where(Attempt.token.in_(tokens)))
    return {token: (job_id, float(age)) for token, job_id, age in rows}
