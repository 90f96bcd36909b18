"""The one way in which a job changes its state."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func
from sqlalchemy.orm import Session

from core.db import after_commit
from core.errors import InvalidState
from core.ids import new_id
from core.jobs.states import ACTIVE, PAUSED, QUEUED, RUNNING, TERMINAL, TRANSITIONS
from core.models import Event, Job
from core.queue import ring
from core.webhooks.service import job_ended

Level = str  # info | warn | error


class IllegalTransition(InvalidState):
    pass


def transition(
    session: Session,
    job: Job,
    to: str,
    *,
    reason: str | None,
    message: str,
    level: Level = "info",
    error: dict[str, Any] | None = None,
) -> None:
    """Move a job, whose row this transaction has locked, to the state `to`, and write the event that says so.

    Leaving the active states drops the attempt's token and lease: from the commit on the attempt can write nothing.
    Reaching a terminal one inserts the webhooks that tell of it.

    Raises:
        IllegalTransition: the table does not allow it; nothing has changed.
    """
    if to not in TRANSITIONS[job.status]:
        raise IllegalTransition(f"job {job.id} is {job.status}, which cannot become {to}")
    job.status = to
    job.status_reason = reason
    if to not in ACTIVE:
        job.token = job.lease_expires_at = job.worker_id = None
        job.estimated_finish = None
    if to == QUEUED:
        job.queued_at = func.now()
    if to == RUNNING and job.started_at is None:
        job.started_at = func.now()
    if to == PAUSED or to in TERMINAL:
        job.interrupted_at = None
    if to in TERMINAL:
        job.finished_at = func.now()
        job.error = error
    append_event(session, job, message=message, level=level)
    if to in TERMINAL:
        job_ended(session, job)
    session.flush()  # the times set above are the database's; whoever reads them next gets them from there


def queue_validated(session: Session, job: Job) -> None:
    """Queue a locked job whose files are validated."""
    message = "Files validated, moving job to queued state"
    transition(session, job, QUEUED, reason="waiting for a free slot", message=message)
    after_commit(session, lambda: ring("train"))


def interrupt(job: Job, *, since: datetime | ColumnElement[datetime]) -> None:
    """Note that the job trains no more since then; it may have been interrupted before and not got going since."""
    if job.interrupted_at is None:
        job.interrupted_at = since


def append_event(
    session: Session,
    job: Job,
    *,
    message: str,
    level: Level = "info",
    type: str = "message",
    data: dict[str, Any] | None = None,
) -> None:
    """Add the next event of a job, whose row this transaction has locked: the number comes from that row."""
    job.event_seq += 1
    session.add(
        Event(
            job_id=job.id,
            seq=job.event_seq,
            id=new_id("ftevent-"),
            level=level,
            type=type,
            message=message,
            data=data,
        )
    )
