"""Queue `cpu`, beside validations: tell webhook endpoints how jobs ended."""

import logging

from core.db import session_scope
from core.leases import Replaced
from core.logs import bound
from core.webhooks import claims
from core.webhooks.message import Message
from core.webhooks.sending import send
from worker.context import Context
from worker.fence import fenced
from worker.heartbeat import heartbeat
from worker.patience import TRANSIENT
from worker.slots import Slot

log = logging.getLogger(__name__)


def run_next(context: Context, slot: Slot) -> bool:
    """Claim the delivery whose turn it is, try it and write how that ended; False when none is due."""
    with session_scope(context.engine) as session:
        claimed = claims.claim(session, lease=context.lease)
    if claimed is None:
        return False
    token, message = claimed
    slot.token = token
    with bound(webhook=message.id, attempt=token):
        _deliver(context, token, message)
    return True


def _deliver(context: Context, token: int, message: Message) -> None:
    try:
        # A replaced try is not stopped: it ends by itself within seconds, and can write nothing.
        with heartbeat(
            lambda: _beat(context, token), every=context.settings.heartbeat_seconds, on_replaced=lambda: None
        ):
            outcome = send(message, private=context.settings.webhook_private_targets)
        with fenced(context.engine) as session:
            claims.finish(session, token=token, lease=context.lease, url=message.url, outcome=outcome)
    except Replaced as error:
        log.info("%s", error)
    except TRANSIENT as error:
        # The lease runs out, the reconciler gives the delivery back: its receiver hears of the event again.
        log.warning("how the delivery ended was not written: %s", error)
    except Exception:
        log.exception("the delivery failed")


def _beat(context: Context, token: int) -> None:
    with fenced(context.engine) as session:
        claims.heartbeat(session, token=token, lease=context.lease)
