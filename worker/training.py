"""Queue `train`: claim a job, make it a run directory, and supervise its trainer."""

import logging
import shutil

from pydantic import ValidationError

from core.access.repository import organization_of_project
from core.db import session_scope
from core.jobs import claims, publishing
from core.models import Job
from core.specs.run import RunError
from worker.context import Context
from worker.inputs import Assignment, read_assignment
from worker.slots import Slot
from worker.supervisor import Attempt

log = logging.getLogger(__name__)


def run_next(context: Context, slot: Slot) -> bool:
    """Claim the best waiting job and run it to the end of this attempt; False when none is waiting."""
    claimed = _claim(context, devices=len(slot.devices))
    if claimed is None:
        return False
    job_id, slot.token = claimed
    log.info("job %s: attempt %s begins", job_id, slot.token)
    try:
        assignment = _read(context, job_id, token=slot.token)
        if assignment is not None:
            _run(context, assignment, devices=slot.devices)
    except Exception:
        # Nothing was written: the lease runs out, and the reconciler counts a loss.
        log.exception("job %s: attempt %s failed in its supervisor", job_id, slot.token)
    finally:
        log.info("job %s: attempt %s has ended", job_id, slot.token)
    return True


def _claim(context: Context, *, devices: int) -> tuple[str, int] | None:
    with session_scope(context.engine) as session:
        job = claims.claim(session, worker_id=context.worker_id, devices=devices, lease=context.lease)
        return None if job is None else (job.id, job.token or 0)


def _read(context: Context, job_id: str, *, token: int) -> Assignment | None:
    """What the claim is for; None where this worker can't read it: a fault of the job, or it would come back for ever.

    In a transaction of its own: the claim stands, so that nobody waits behind such a job.
    """
    try:
        with session_scope(context.engine) as session:
            job = session.get_one(Job, job_id)
            organization = organization_of_project(session, job.project_id)
            return read_assignment(session, job, token=token, organization_id=organization.id)
    except ValidationError as error:
        log.warning("job %s: its spec can't be read here: %s", job_id, error)
        problem = RunError(code="unreadable_spec", message="This worker can't read the job's spec", retryable=True)
        with session_scope(context.engine) as session:
            publishing.fail(session, token=token, limits=context.limits, error=problem)
        return None


def _run(context: Context, assignment: Assignment, *, devices: list[int]) -> None:
    run_dir = context.runs / f"{assignment.job_id}-{assignment.token}"
    run_dir.mkdir(parents=True)
    try:
        wanted = [] if assignment.spec.resources.gpus == 0 else devices
        Attempt(context, assignment, run_dir, devices=wanted).run()
    finally:
        shutil.rmtree(run_dir, ignore_errors=True)


def clean_up(context: Context) -> None:
    """Remove the run directories that a killed worker of the same name has left; their trainers died with it."""
    context.runs.mkdir(parents=True, exist_ok=True)
    found = list(context.runs.iterdir())  # listed first: an attempt that begins meanwhile is in neither list
    with session_scope(context.engine) as session:
        live = claims.live_attempts(session)
    for run_dir in found:
        token = run_dir.name.rpartition("-")[2]
        if not token.isdigit() or int(token) not in live:
            shutil.rmtree(run_dir, ignore_errors=True)
