"""Queue `train`: claim a job, make it a run directory, and supervise its trainer."""

import logging
import shutil

from core.access.repository import organization_of_project
from core.db import session_scope
from core.jobs import claims
from worker.context import Context
from worker.inputs import Assignment, read_assignment
from worker.slots import Slot
from worker.supervisor import Attempt

log = logging.getLogger(__name__)


def run_next(context: Context, slot: Slot) -> bool:
    """Claim the best waiting job and run it to the end of this attempt; False when none is waiting."""
    assignment = _claim(context, devices=len(slot.devices))
    if assignment is None:
        return False
    slot.token = assignment.token
    run_dir = context.runs / f"{assignment.job_id}-{assignment.token}"
    run_dir.mkdir(parents=True)
    log.info("job %s: attempt %s begins", assignment.job_id, assignment.token)
    try:
        Attempt(context, assignment, run_dir, devices=slot.devices).run()
    except Exception:
        # Nothing was written: the lease runs out, and the reconciler counts a loss.
        log.exception("job %s: attempt %s failed in its supervisor", assignment.job_id, assignment.token)
    finally:
        shutil.rmtree(run_dir, ignore_errors=True)
        log.info("job %s: attempt %s has ended", assignment.job_id, assignment.token)
    return True


def _claim(context: Context, *, devices: int) -> Assignment | None:
    with session_scope(context.engine) as session:
        job = claims.claim(session, worker_id=context.worker_id, devices=devices, lease=context.lease)
        if job is None:
            return None
        session.flush()
        organization = organization_of_project(session, job.project_id)
        return read_assignment(session, job, organization_id=organization.id)


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
