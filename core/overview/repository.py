"""SQL that sums up an owner's jobs. Indexes serve all of it: old jobs cost nothing."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, distinct, extract, func, or_, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import InstrumentedAttribute, Session

from core.access.owner import Owner
from core.jobs.states import FAILED, QUEUED, STATES, TERMINAL
from core.models import Attempt, Job, Project


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
    """What a project's jobs have used within some hours; jobs: those that an attempt had meanwhile."""

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
    """(jobs that wait for a slot, seconds since the first of them was last queued; 0 where none waits)."""
    return waiting(session, Job.queued_at, owner.owns(Job.project_id), Job.status == QUEUED)


def waiting(
    session: Session, since: InstrumentedAttribute[datetime], *conditions: ColumnElement[bool]
) -> tuple[int, float]:
    """(rows of those conditions, seconds since the earliest `since` of them; 0 without rows)."""
    age = extract("epoch", func.now() - func.min(since))
    depth, oldest = session.execute(select(func.count(), age).where(*conditions)).one()
    return depth, float(oldest or 0)


def usage(session: Session, *, owner: Owner, hours: int) -> list[Usage]:
    """What attempts have used within so many hours, as far as they have been charged.

    Of an attempt that began before it is the share of its time that lies within: exact for GPUs, which are held all the
    time, and for CPUs as if it had used them evenly. A row a project, the one with the most GPU-seconds first.
    """
    until = func.coalesce(Attempt.ended_at, func.now())
    within = extract("epoch", until - func.greatest(Attempt.started_at, _ago(hours)))
    lasted = extract("epoch", until - Attempt.started_at)
    share = func.coalesce(within / func.nullif(lasted, 0), 1)  # one that ended at once is within
    gpu, cpu = func.sum(Attempt.gpu_seconds * share), func.sum(Attempt.cpu_seconds * share)
    statement = (
        select(Project.id, Project.name, gpu, cpu, func.count(distinct(Job.id)))
        .select_from(Attempt)
        .join(Job, Job.id == Attempt.job_id)
        .join(Project, Project.id == Job.project_id)
        .where(owner.owns(Job.project_id), or_(Attempt.ended_at.is_(None), Attempt.ended_at >= _ago(hours)))
    )
    ordered = statement.group_by(Project.id).order_by(gpu.desc(), cpu.desc(), Project.id)
    return [Usage(*row) for row in session.execute(ordered)]


def _by_status(session: Session, owner: Owner, statuses: frozenset[str], *more: ColumnElement[bool]) -> dict[str, int]:
    counted = select(Job.status, func.count()).where(owner.owns(Job.project_id), Job.status.in_(statuses), *more)
    found = {status: count for status, count in session.execute(counted.group_by(Job.status))}
    return {**dict.fromkeys(sorted(statuses), 0), **found}


def _ago(hours: int) -> ColumnElement[datetime]:
    return func.now() - timedelta(hours=hours)
