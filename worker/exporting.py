"""Queue `cpu`, beside validations: tell jobs' integrations of their figures."""

import logging
from functools import partial

from core.db import session_scope
from core.exports import claims
from core.exports.claims import Batch, NotTold, Told
from core.leases import Replaced
from core.logs import bound
from core.settings import Settings
from core.specs.integrations import MlflowIntegration
from worker import mlflow, wandb
from worker.context import Context
from worker.fence import fenced
from worker.heartbeat import heartbeat
from worker.patience import TRANSIENT
from worker.slots import Slot

log = logging.getLogger(__name__)


def run_next(context: Context, slot: Slot) -> bool:
    """Claim the batch that is due the longest, hand it on and write how that went; False when none is due."""
    # Each time an offline run is gone on with, it becomes another folder: there is one for the whole job.
    at_the_end = ("wandb",) if context.settings.wandb_mode == "offline" else ()
    with session_scope(context.engine) as session:
        batch = claims.claim(session, lease=context.lease, at_the_end=at_the_end)
    if batch is None:
        return False
    slot.token = batch.token
    with bound(job=batch.job_id, attempt=batch.token):
        _export(context, batch)
    return True


def _export(context: Context, batch: Batch) -> None:
    every = context.settings.heartbeat_seconds
    try:
        with heartbeat(partial(_beat, context, batch.token), every=every, on_replaced=lambda: None):
            said = _tell(context.settings, batch)
        with fenced(context.engine) as session:
            if isinstance(said, Told):
                claims.told(session, batch=batch, lease=context.lease, said=said)
            else:
                claims.failed(session, batch=batch, lease=context.lease, reason=said)
    except Replaced as error:
        log.info("%s", error)
    except TRANSIENT as error:
        # The lease runs out, the reconciler gives the export back: its steps are told again, which changes nothing.
        log.warning("how the export ended was not written: %s", error)


def _tell(settings: Settings, batch: Batch) -> Told | str:
    """Where the figures are now, or why they are not."""
    send = mlflow.send if isinstance(batch.integration, MlflowIntegration) else wandb.send
    try:
        return send(settings, batch)
    except NotTold as error:
        log.warning("the export to %s failed: %s", batch.integration.type, error)
        return str(error)
    except Exception as error:
        log.exception("the export to %s failed", batch.integration.type)
        return type(error).__name__


def _beat(context: Context, token: int) -> None:
    with fenced(context.engine) as session:
        claims.heartbeat(session, token=token, lease=context.lease)
