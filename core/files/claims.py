"""Validation of files: claimed, leased, fenced and reaped as jobs are."""

import logging
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.db import after_commit
from core.jobs.service import file_finished
from core.leases import Limits, expired, hold, issue
from core.logs import bound
from core.models import File
from core.queue import ring

log = logging.getLogger(__name__)


def claim(session: Session, *, lease: float) -> File | None:
    """Take the file that has waited longest for its validation. A deleted one too, for as long as it
    has its bytes: jobs may wait for it."""
    file = session.scalar(
        select(File)
        .where(File.status == "uploaded", File.token.is_(None), File.purged_at.is_(None))
        .order_by(File.created_at)
        .limit(1)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    if file is not None:
        issue(session, file, lease=lease)
    return file


def heartbeat(session: Session, *, token: int, lease: float) -> None:
    """Renew the lease.

    Raises:
        Replaced: the token is no longer the file's.
    """
    hold(session, File, token=token, lease=lease)


def finish(
    session: Session,
    *,
    token: int,
    lease: float,
    rows: int | None,
    fault: str | None,
    report: dict[str, Any] | None = None,
) -> None:
    """Write the verdict, and move the jobs that waited for it, in one transaction.

    Raises:
        Replaced: the token is no longer the file's.
    """
    file = hold(session, File, token=token, lease=lease)
    file.report = report
    _finish(session, file, rows=rows, fault=fault)


def _finish(session: Session, file: File, *, rows: int | None, fault: str | None) -> None:
    file.token = file.lease_expires_at = None
    file.rows = rows
    file.status = "error" if fault else "processed"
    file.status_details = fault
    session.flush()
    file_finished(session, file_id=file.id)


def give_up(session: Session, *, file_id: str, reason: str) -> None:
    """Make a file unusable whose bytes are lost, and end the jobs that wait for it."""
    file = session.get_one(File, file_id, with_for_update=True, populate_existing=True)
    file.purged_at = func.now()
    _finish(session, file, rows=file.rows, fault=reason)


def live_validations(session: Session) -> set[int]:
    """The tokens that validations hold now."""
    held = session.scalars(select(File.token).where(File.token.is_not(None)))
    return {token for token in held if token is not None}


def release(session: Session, *, token: int, lease: float, limits: Limits, reason: str) -> None:
    """Give a file back whose validation failed for a reason that is not the file's (the store was away, say)."""
    _count_loss(session, hold(session, File, token=token, lease=lease), limits=limits, reason=reason)


def reap(session: Session, *, limits: Limits) -> int:
    """Give back the files whose validation has been silent for longer than its lease; answers how many."""
    lost = expired(session, File, limits=limits)
    for file in lost:
        with bound(file=file.id, attempt=file.token):
            log.warning("the lease has expired: the worker that validated it is lost")
        _count_loss(session, file, limits=limits, reason="its worker was lost")
    if lost:
        after_commit(session, lambda: ring("cpu"))
    return len(lost)


def _count_loss(session: Session, file: File, *, limits: Limits, reason: str) -> None:
    file.losses += 1
    file.token = file.lease_expires_at = None
    if file.losses >= limits.max_losses:
        _finish(session, file, rows=None, fault=f"validation failed {file.losses} times, most recently: {reason}")
