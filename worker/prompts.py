"""Queue `cpu`, beside validations: check jobs' prompts with their models' tokenizers, before the jobs are queued."""

import logging
from functools import partial

from core.db import session_scope
from core.errors import TunesmithError
from core.estimate import prompts
from core.jobs import prompt_checks
from core.leases import Replaced
from core.logs import bound
from core.models import Job
from core.registry.catalogue import load_catalogue
from worker.context import Context
from worker.fence import fenced
from worker.heartbeat import heartbeat
from worker.patience import TRANSIENT
from worker.slots import Slot

log = logging.getLogger(__name__)


def run_next(context: Context, slot: Slot) -> bool:
    """Claim the check that has waited longest, do it and write its verdict; False when none waits, or none fits."""
    if not context.room.is_there():
        return False
    with session_scope(context.engine) as session:
        found = prompt_checks.claim(session, lease=context.lease)
        if found is None:
            return False
        slot.token, job = found
        job_id = job.id
    with bound(job=job_id, attempt=slot.token):
        _check(context, token=slot.token, job_id=job_id)
    return True


def _check(context: Context, *, token: int, job_id: str) -> None:
    every = context.settings.heartbeat_seconds
    try:
        with heartbeat(partial(_beat, context, token), every=every, on_replaced=lambda: None):
            error = _fault(context, job_id=job_id)
        with fenced(context.engine) as session:
            prompt_checks.finish(session, token=token, lease=context.lease, error=error)
    except Replaced as replaced:
        log.info("%s", replaced)
    except TRANSIENT as problem:
        # The lease runs out, and the reconciler queues the job.
        log.warning("the verdict on the prompts was not written: %s", problem)


def _fault(context: Context, *, job_id: str) -> dict[str, str] | None:
    """None, too, where it can't be known here: the trainer finds it then."""
    try:
        catalogue = load_catalogue(context.settings.catalogue)
        with session_scope(context.engine) as session:
            job = session.get_one(Job, job_id)
            question = prompts.ask(session, job=job, catalogue=catalogue)
        if question is not None:
            return prompts.fault(question, storage=context.storage, cards=context.cards, within=context.runs.parent)
    except TunesmithError as error:
        log.info("the prompts are left to the trainer: %s", error)
    except Exception as error:
        log.warning("the prompts could not be checked, and are left to the trainer: %s", error)
    return None


def _beat(context: Context, token: int) -> None:
    with fenced(context.engine) as session:
        prompt_checks.heartbeat(session, token=token, lease=context.lease)
