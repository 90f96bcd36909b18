"""SQL that sums up an owner's jobs. Indexes serve all of it: old jobs cost nothing."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, extract, func, or_, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from core.access.owner import Owner
from core.jobs.states import FAILED, QUEUED, STATES, TERMINAL
from core.models import Job, Project


@dataclass(frozen=True)
class Failure:
    """Jobs that have failed with one code, and the latest of them with its error."""

    code: str
    count: int
    latest_job_id: str
    latest_at: datetime
    error: dict[str, Any]


@dataclass(frozen=True)
class Usage:
    """What some jobs of a project have used."""

    project_id: str
    project: str
    gpu_seconds: float
    cpu_seconds: float
    jobs: int


def unfinished(session: Session, *, owner: Owner) -> dict[str, int]:
    """How many jobs are in which state that is not terminal; zeros too."""
    return _by_status(session, owner, STATES - TERMINAL)


def finished(session: Session, *, owner: Owner, hours: int) -> dict[str, int]:
    """How many jobs have ended in which terminal state within so many hours; zeros too."""
    return _by_status(session, owner, TERMINAL, Job.finished_at >= _ago(hours))


def failures(session: Session, *, owner: Owner, hours: int) -> list[Failure]:
    """Failures within so many hours by their codes, the most frequent first."""
    code = Job.error["code"].astext
    statement = (
        select(code, func.count().over(partition_by=code), Job.id, Job.finished_at, Job.error)
        .where(owner.owns(Job.project_id), Job.status == FAILED, Job.finished_at >= _ago(hours))
        .ext(distinct_on(code))
        .order_by(code, Job.finished_at.desc(), Job.id.desc())
    )
    found = [Failure(*row) for row in session.execute(statement)]
    return sorted(found, key=lambda failure: -failure.count)


def queue(session: Session, *, owner: Owner) -> tuple[int, float]:
    """(jobs that wait for a slot, seconds since the oldest of them was created; 0 where none waits)."""
    age = extract("epoch", func.now() - func.min(Job.created_at))
    waiting = select(func.count(), age).where(owner.owns(Job.project_id), Job.status == QUEUED)
    depth, oldest = session.execute(waiting).one()
    return depth, float(oldest or 0)


def usage(session: Session, *, owner: Owner, hours: int) -> list[Usage]:
    """What the jobs have used, in all, that were created within so many hours, have ended since, or hold a slot now.

    A row a project, the one with the most GPU-seconds first.
    """
    ended = and_(Job.status.in_(TERMINAL), Job.finished_at >= _ago(hours), Job.started_at.is_not(None))
    gpu, cpu = func.sum(Job.gpu_seconds), func.sum(Job.cpu_seconds)
    statement = (
        select(Project.id, Project.name, gpu, cpu, func.count())
        .join(Job, Job.project_id == Project.id)
        .where(owner.owns(Job.project_id), or_(Job.created_at >= _ago(hours), ended, Job.token.is_not(None)))
    )
    ordered = statement.group_by(Project.id).order_by(gpu.desc(), cpu.desc(), Project.id)
    return [Usage(*row) for row in session.execute(ordered)]


def _by_status(session: Session, owner: Owner, statuses: frozenset[str], *more: ColumnElement[bool]) -> dict[str, int]:
    counted = select(Job.status, func.count()).where(owner.owns(Job.project_id), Job.status.in_(statuses), *more)
    found = {status: count for status, count in session.execute(counted.group_by(Job.status))}
    return {**dict.fromkeys(sorted(statuses), 0), **found}


def _ago(hours: int) -> ColumnElement[datetime]:
    return func.now() - timedelta(hours=hours)
