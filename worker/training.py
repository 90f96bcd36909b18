"""Queue `train`: claim a job, make it a run directory, and supervise its trainer."""

import logging
import shutil

from core.access.repository import organization_of_project
from core.db import session_scope
from core.jobs import claims, publishing
from core.leases import Replaced
from core.logs import bound
from core.models import Job
from core.specs.initialization import InitializationMethod
from core.specs.job import JobSpec
from worker import faults
from worker.context import Context
from worker.fence import fenced
from worker.inputs import Assignment, read_assignment
from worker.patience import TRANSIENT
from worker.slots import Slot
from worker.supervisor import Attempt

log = logging.getLogger(__name__)


def run_next(context: Context, slot: Slot) -> bool:
    """Claim the best waiting job and run it to the end of this attempt; False when none is waiting, or none fits."""
    if not context.room.is_there():
        return False
    claimed = _claim(context, devices=len(slot.devices))
    if claimed is None:
        return False
    job_id, token = claimed
    slot.token = token
    with bound(job=job_id, attempt=token):
        _run(context, slot, job_id, token=token)
    return True


def _run(context: Context, slot: Slot, job_id: str, *, token: int) -> None:
    run_dir = context.runs / f"{job_id}-{token}"
    log.info("the attempt begins")
    try:
        assignment, devices = _read(context, slot, job_id, token=token)
        run_dir.mkdir(parents=True)
        Attempt(context, assignment, run_dir, devices=devices).run()
    except Exception as error:
        log.exception("the attempt failed in its supervisor")
        _fail(context, token, error)
    finally:
        shutil.rmtree(run_dir, ignore_errors=True)
        log.info("the attempt has ended")


def devices_for(spec: JobSpec, slot: Slot) -> list[int]:
    """A job that asked for no GPU gets none, wherever it runs, and an initialization, which computes on none."""
    unused = spec.resources.gpus == 0 or isinstance(spec.method, InitializationMethod)
    return [] if unused else slot.devices


def _claim(context: Context, *, devices: int) -> tuple[str, int] | None:
    """(job, token) of the attempt."""
    with session_scope(context.engine) as session:
        job = claims.claim(session, worker_id=context.worker_id, devices=devices, lease=context.lease)
        return job and (job.id, job.token or 0)


def _read(context: Context, slot: Slot, job_id: str, *, token: int) -> tuple[Assignment, list[int]]:
    """What to do, and on which GPUs.

    After the claim's commit: a job that can't be read must not stay the first in the queue for ever.
    """
    with session_scope(context.engine) as session:
        job = session.get_one(Job, job_id)
        organization = organization_of_project(session, job.project_id)
        assignment = read_assignment(session, job, token=token, organization_id=organization.id)
        devices = devices_for(assignment.spec, slot)
        claims.hold_gpus(session, token=token, gpus=len(devices))
        return assignment, devices


def _fail(context: Context, token: int, error: Exception) -> None:
    fault = faults.explain(error)
    if fault is None:
        return
    try:
        with fenced(context.engine) as session:
            publishing.fail(session, token=token, limits=context.limits, error=fault)
    except (Replaced, *TRANSIENT) as problem:
        log.warning("the fault was not counted: %s", problem)


def clean_up(context: Context) -> None:
    """Remove the run directories whose attempts have ended: killed workers leave them, and no trainer."""
    context.runs.mkdir(parents=True, exist_ok=True)
    found = list(context.runs.iterdir())  # listed first: an attempt that begins meanwhile is in neither list
    with session_scope(context.engine) as session:
        live = claims.live_attempts(session)
    for run_dir in found:
        token = run_dir.name.rpartition("-")[2]
        if not token.isdigit() or int(token) not in live:
            shutil.rmtree(run_dir, ignore_errors=True)
