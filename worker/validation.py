"""Queue `cpu`: validate uploaded training files."""

import logging

from core.db import session_scope
from core.files import claims
from core.leases import Replaced
from core.rows.validate import validate
from core.storage import Storage
from worker.context import Context
from worker.heartbeat import heartbeat
from worker.patience import TRANSIENT
from worker.slots import Slot

log = logging.getLogger(__name__)


def run_next(context: Context, slot: Slot) -> bool:
    """Claim the file that has waited longest, validate it and write the verdict; False when none is waiting."""
    with session_scope(context.engine) as session:
        file = claims.claim(session, lease=context.lease)
        if file is None:
            return False
        token, key, file_id = file.token or 0, file.object_key, file.id
    slot.token = token
    try:
        with heartbeat(lambda: _beat(context, token), every=context.settings.heartbeat_seconds, on_replaced=_nothing):
            rows, fault = _verdict(context.storage, key)
            with session_scope(context.engine) as session:
                claims.finish(session, token=token, lease=context.lease, rows=rows, fault=fault)
    except Replaced as error:
        log.info("%s", error)
    except TRANSIENT as error:
        # The lease runs out, the reconciler gives the file back: a pause that suits a service that is away.
        log.warning("validation of %s was interrupted: %s", file_id, error)
    return True


def _verdict(storage: Storage, key: str) -> tuple[int, str | None]:
    report = validate(storage.open(key))
    if not report.faults:
        return report.rows, None
    shown = "; ".join(str(fault) for fault in report.faults)
    more = report.fault_count - len(report.faults)
    return report.rows, f"{shown}; and {more} more" if more else shown


def _beat(context: Context, token: int) -> None:
    with session_scope(context.engine) as session:
        claims.heartbeat(session, token=token, lease=context.lease)


def _nothing() -> None:
    """The write at the end finds the token gone."""
