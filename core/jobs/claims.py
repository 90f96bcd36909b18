"""How an attempt gets a job, keeps it, and loses it."""

import logging
from datetime import timedelta

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from core import leases
from core.db import after_commit, lock
from core.jobs.lifecycle import interrupt, transition
from core.jobs.states import FAILED, PAUSED, PAUSING, QUEUED, RUNNING
from core.leases import Limits
from core.logs import bound
from core.models import Attempt, Job, Project, attempt_token
from core.ops import tallies
from core.queue import ring

log = logging.getLogger(__name__)


def claim(session: Session, *, worker_id: str, devices: int, lease: float) -> Job | None:
    """Take the best claimable job for a worker with so many GPUs: by priority, then fair share, then age.

    Issues the attempt: a token from a sequence, and a lease on the database's clock.
    """
    lock(session, "claim")  # one claim at a time, so that quotas and shares are counted right
    running = (
        select(Job.project_id, func.count().label("running"))
        .where(Job.token.is_not(None))
        .group_by(Job.project_id)
        .subquery()
    )
    share = func.coalesce(running.c.running, 0)
    job = session.scalar(
        select(Job)
        .join(Project, Project.id == Job.project_id)
        .outerjoin(running, running.c.project_id == Job.project_id)
        .where(
            Job.status == QUEUED,
            Job.needed_devices <= devices,
            or_(Project.max_running_jobs.is_(None), share < Project.max_running_jobs),
        )
        .order_by(Job.priority.desc(), share, Job.created_at, Job.id)
        .limit(1)
        .with_for_update(of=Job, skip_locked=True)
        .execution_options(populate_existing=True)
    )
    if job is None:
        return None
    token = session.scalars(select(attempt_token.next_value())).one()
    first = job.started_at is None
    message = "Fine-tuning job started" if first else f"Fine-tuning job started again (attempt token {token})"
    job.token = token
    job.lease_expires_at = func.now() + timedelta(seconds=lease)
    job.worker_id = worker_id
    transition(session, job, RUNNING, reason=f"runs on {worker_id}", message=message)
    session.add(Attempt(token=token, job_id=job.id, worker_id=worker_id, started_at=func.now()))
    after_commit(session, lambda: ring("train"))  # where one job waited there may be more, and other slots idle
    return job


def hold_gpus(session: Session, *, token: int, gpus: int) -> None:
    """Say of the attempt how many GPUs it holds, once its job has been read."""
    session.get_one(Attempt, token).gpus = gpus


def live_attempts(session: Session) -> set[int]:
    """The tokens that hold a job now."""
    return {token for token in session.scalars(select(Job.token).where(Job.token.is_not(None))) if token is not None}


def hold(session: Session, *, token: int, lease: float) -> Job:
    """Lock the attempt's job and renew its lease: the first statement of each of its transactions.

    Raises:
        Replaced: the token is no longer the job's.
    """
    return leases.hold(session, Job, token=token, lease=lease)


def end_attempt(session: Session, *, token: int, outcome: str, detail: str | None = None) -> None:
    ended = session.scalar(
        update(Attempt)
        .where(Attempt.token == token, Attempt.ended_at.is_(None))
        .values(ended_at=func.now(), outcome=outcome, detail=detail)
        .returning(Attempt.token)
    )
    if ended is not None:
        tallies.count(session, "attempts", label=outcome)


def reap(session: Session, *, limits: Limits) -> int:
    """Requeue the jobs whose attempts have been silent for longer than their lease; answers how many."""
    lost = leases.expired(session, Job, limits=limits)
    for job in lost:
        with bound(job=job.id, attempt=job.token, worker=job.worker_id):
            log.warning("the lease has expired: its worker is lost")
        end_attempt(session, token=job.token or 0, outcome="lost")
        _requeue_lost(session, job, limits=limits)
    if lost:
        after_commit(session, lambda: ring("train"))
    return len(lost)


def _requeue_lost(session: Session, job: Job, *, limits: Limits) -> None:
    worker = job.worker_id
    job.losses += 1
    assert job.lease_expires_at is not None
    interrupt(job, since=job.lease_expires_at - timedelta(seconds=limits.lease))
    if job.status == PAUSING:
        message = f"Worker {worker} was lost while the job was pausing; it is paused at its last checkpoint"
        transition(session, job, PAUSED, reason="paused on request", message=message, level="warn")
    elif job.losses >= limits.max_losses:
        message = f"Lost its worker {job.losses} times, most recently {worker}; given up"
        error = {"code": "worker_lost", "message": message, "param": None}
        transition(session, job, FAILED, reason=message, message=message, level="error", error=error)
    else:
        message = f"Worker {worker} was lost; queued again to go on from the last checkpoint"
        transition(session, job, QUEUED, reason=f"worker {worker} was lost", message=message, level="warn")
