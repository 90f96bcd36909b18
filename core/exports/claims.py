"""Exports of jobs' figures: claimed, leased, fenced and reaped as jobs are."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from core.db import after_commit
from core.jobs.states import TERMINAL
from core.leases import Limits, expired, hold, issue
from core.models import Export, Job, Metric
from core.queue import ring
from core.specs.integrations import Integration

MOST_STEPS = 1000  # of one batch
MOST_ROWS = 1_000_000  # of a batch that is the only one
PAUSE = 15.0  # seconds between two batches
# Seconds between a failed try and the next.
PAUSES = (15, 60, 300, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600)
INTEGRATION: TypeAdapter[Integration] = TypeAdapter(Integration)


@dataclass(frozen=True)
class Batch:
    """What an integration is told next: plain values, so that no transaction stays open meanwhile.

    run_id: as the integration named it, where it has been told before. created_at: the job's, Unix seconds.
    steps: (step, figures), in their order.
    status: the job's. last: the job has ended, and these are the last of its steps.
    """

    token: int
    job_id: str
    integration: Integration
    run_id: str | None
    created_at: int
    facts: dict[str, Any]
    steps: list[tuple[int, dict[str, Any]]]
    status: str
    last: bool


@dataclass(frozen=True)
class Told:
    """run_id, url: of the run at the integration."""

    run_id: str
    url: str | None


class NotTold(Exception):
    """The integration could not be told. The words are for the job's owner: neither secrets nor paths are in them."""


def add(session: Session, job: Job, integrations: list[Integration]) -> None:
    """Insert the exports of a job that is being created."""
    for position, integration in enumerate(integrations):
        dumped = integration.model_dump(mode="json", exclude_none=True)
        session.add(Export(job_id=job.id, position=position, integration=dumped, due_at=func.now()))


def claim(session: Session, *, lease: float, at_the_end: Collection[str] = ()) -> Batch | None:
    """The batch that is due the longest.

    Args:
        at_the_end: types of integrations that are told only once the job has ended.
    """
    ended = Job.status.in_(TERMINAL)
    waits = Export.integration["type"].astext.in_(at_the_end)
    found = session.execute(
        select(Export, Job)
        .join(Job, Job.id == Export.job_id)
        .where(Export.status == "pending", Export.token.is_(None), Export.due_at <= func.now())
        .where(or_(ended, (Job.step > Export.exported_step) & ~waits))
        .order_by(Export.due_at)
        .limit(1)
        .with_for_update(of=Export, skip_locked=True)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if found is None:
        return None
    export, job = found
    token = issue(session, export, lease=lease)
    newer = select(Metric.step, Metric.data).where(Metric.job_id == job.id, Metric.step > export.exported_step)
    whole = export.integration["type"] in at_the_end  # all that it is ever told comes at once
    most = MOST_ROWS if whole else MOST_STEPS
    rows = session.execute(newer.order_by(Metric.step).limit(most + 1)).all()
    after_commit(session, lambda: ring("cpu"))  # where one waited there may be more, and other slots idle
    return Batch(
        token=token,
        job_id=job.id,
        integration=INTEGRATION.validate_python(export.integration),
        run_id=export.run_id,
        created_at=int(job.created_at.timestamp()),
        facts=_facts(job),
        steps=[(row.step, row.data) for row in rows[:most]],
        status=job.status,
        last=job.status in TERMINAL and len(rows) <= most,
    )


def _facts(job: Job) -> dict[str, Any]:
    """What a run is described by."""
    facts = {"model": job.model, "base_model": job.base_model, "method": job.spec["method"]["type"], "seed": job.seed}
    made = {"fine_tuned_model": job.fine_tuned_model} if job.fine_tuned_model else {}
    return {**facts, "training_file": job.training_file_id, **(job.resolved or {}), **made}


def heartbeat(session: Session, *, token: int, lease: float) -> None:
    """Renew the lease.

    Raises:
        Replaced: the token is no longer the export's.
    """
    hold(session, Export, token=token, lease=lease)


def told(session: Session, *, batch: Batch, lease: float, said: Told) -> None:
    """Note that the batch has arrived.

    Raises:
        Replaced: the token is no longer the export's.
    """
    export = hold(session, Export, token=batch.token, lease=lease)
    export.token = export.lease_expires_at = export.reason = None
    export.tries = 0
    export.run_id, export.url = said.run_id, said.url
    if batch.steps:
        export.exported_step = batch.steps[-1][0]
    if batch.last:
        export.status = "done"
    elif len(batch.steps) < MOST_STEPS:
        export.due_at = func.now() + timedelta(seconds=PAUSE)


def failed(session: Session, *, batch: Batch, lease: float, reason: str) -> None:
    """Note why it has not: it is tried again after a pause, or given up.

    Raises:
        Replaced: the token is no longer the export's.
    """
    export = hold(session, Export, token=batch.token, lease=lease)
    export.token = export.lease_expires_at = None
    _count(export, reason)


def _count(export: Export, reason: str) -> None:
    export.tries, export.reason = export.tries + 1, reason
    if export.tries > len(PAUSES):
        export.status = "failed"
    else:
        export.due_at = func.now() + timedelta(seconds=PAUSES[export.tries - 1])


def reap(session: Session, *, limits: Limits) -> int:
    """Give back the exports whose worker has been silent for longer than its lease; answers how many."""
    lost = expired(session, Export, limits=limits)
    for export in lost:
        export.token = export.lease_expires_at = None
        _count(export, "the worker was lost")
    return len(lost)


def of_jobs(session: Session, *, job_ids: Collection[str]) -> dict[str, list[Export]]:
    """The exports of these jobs, by job."""
    found: dict[str, list[Export]] = {job_id: [] for job_id in job_ids}
    if not found:
        return found
    statement = select(Export).where(Export.job_id.in_(job_ids)).order_by(Export.job_id, Export.position)
    for export in session.scalars(statement):
        found[export.job_id].append(export)
    return found
