"""Checks of jobs' prompts, between the validation of their files and the queue: claimed, leased, fenced and reaped.

Nobody waits long for one: where no worker has begun it in time, or the one that did is lost, the job is queued without,
and its trainer finds what is wrong.
"""

from datetime import timedelta

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from core.db import after_commit
from core.jobs.lifecycle import queue_validated, transition
from core.jobs.states import FAILED, VALIDATING_FILES
from core.leases import Limits, expired, hold, issue
from core.models import Job, PromptCheck
from core.queue import ring

PATIENCE = 120.0  # seconds that a job waits for its check to begin
LONGEST = 900.0  # and to end: its files may be large, or the store slow


def begin(session: Session, job: Job) -> None:
    """Let a locked job, whose files are validated, wait until its prompts are; nothing where it does already."""
    if session.get(PromptCheck, job.id) is None:
        session.add(PromptCheck(job_id=job.id))
        job.status_reason = "waiting for its prompts to be checked"
        after_commit(session, lambda: ring("cpu"))


def claim(session: Session, *, lease: float) -> tuple[int, Job] | None:
    """(token, job) of the check that has waited longest."""
    found = session.execute(
        select(PromptCheck, Job)
        .join(Job, Job.id == PromptCheck.job_id)
        .where(PromptCheck.token.is_(None), Job.status == VALIDATING_FILES)
        .order_by(PromptCheck.created_at)
        .limit(1)
        .with_for_update(of=PromptCheck, skip_locked=True)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if found is None:
        return None
    check, job = found
    return issue(session, check, lease=lease), job


def heartbeat(session: Session, *, token: int, lease: float) -> None:
    """Renew the lease.

    Raises:
        Replaced: the token is no longer the check's.
    """
    hold(session, PromptCheck, token=token, lease=lease)


def finish(session: Session, *, token: int, lease: float, error: dict[str, str] | None) -> None:
    """Queue the job, or fail it with what is wrong.

    Raises:
        Replaced: the token is no longer the check's.
    """
    _end(session, hold(session, PromptCheck, token=token, lease=lease), error)


def reap(session: Session, *, limits: Limits) -> int:
    """Queue the jobs whose worker has been silent for longer than its lease; answers how many."""
    lost = expired(session, PromptCheck, limits=limits)
    for check in lost:
        _end(session, check, None)
    return len(lost)


def let_go(session: Session) -> None:
    """Queue the jobs that have waited too long, whose workers then write nothing, and forget those that have ended."""

    def older(seconds: float) -> ColumnElement[bool]:
        return PromptCheck.created_at < func.now() - timedelta(seconds=seconds)

    unclaimed = PromptCheck.token.is_(None)
    waiting = (
        select(PromptCheck)
        .join(Job, Job.id == PromptCheck.job_id)
        .where(or_(unclaimed & (older(PATIENCE) | (Job.status != VALIDATING_FILES)), older(LONGEST)))
        .with_for_update(of=PromptCheck, skip_locked=True)
    )
    for check in session.scalars(waiting):
        _end(session, check, None)


def _end(session: Session, check: PromptCheck, error: dict[str, str] | None) -> None:
    job = session.get_one(Job, check.job_id, with_for_update=True, populate_existing=True)
    session.delete(check)
    if job.status != VALIDATING_FILES:
        return
    if error is None:
        queue_validated(session, job)
    else:
        message = error["message"]
        transition(session, job, FAILED, reason=message, message=message, level="error", error=error)
