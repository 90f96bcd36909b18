"""`python -m worker.reconciler`: puts right what crashes have left, a little every few seconds.

A process of its own, not a Celery task: it must work while the broker is away. Any number may run; an advisory lock
lets one of them work at a time.
"""

import logging
import signal
import threading
import time

from sqlalchemy import Engine, func

from core.db import make_engine, session_scope, try_lock
from core.files import claims as file_claims
from core.files.report import sketch_key
from core.files.repository import purgeable
from core.jobs import claims as job_claims
from core.jobs.service import advance_waiting
from core.leases import Limits
from core.retention import retire
from core.settings import Settings, get_settings
from core.storage import Storage

log = logging.getLogger(__name__)


class Contact:
    """Since when this process and the database have been in touch without a break.

    While the two were apart, so may have been the workers, who could not renew their leases then. A database that was
    restarted is another matter: see `core.leases.database_is_back`.

    Args:
        gap: seconds between two passes that count as a break (a machine that was suspended, say).
    """

    def __init__(self, *, gap: float) -> None:
        self._gap = gap
        self._since = self._last = time.monotonic()

    def seconds(self) -> float:
        """How long it has lasted; call it at the beginning of each pass."""
        now = time.monotonic()
        if now - self._last > self._gap:
            self._since = now
        self._last = now
        return now - self._since

    def lost(self) -> None:
        self._since = self._last = time.monotonic()


def reconcile(engine: Engine, storage: Storage, settings: Settings, *, reaping: bool = True) -> None:
    """One pass. Safe to run at any time, anywhere, twice.

    reaping: False leaves expired leases alone.
    """
    limits = Limits.of(settings)
    with session_scope(engine) as session:
        if not try_lock(session, "reconciler"):
            return
        jobs = job_claims.reap(session, limits=limits) if reaping else 0
        files = file_claims.reap(session, limits=limits) if reaping else 0
        advance_waiting(session)
        if jobs or files:
            log.warning("leases expired: %d jobs and %d validations were given back", jobs, files)
    retire(engine, storage, settings)
    purge_deleted_files(engine, storage)


def purge_deleted_files(engine: Engine, storage: Storage) -> None:
    """Remove the bytes of deleted files that no unfinished job needs."""
    with session_scope(engine) as session:
        for file in purgeable(session, limit=100):
            storage.delete(file.object_key)
            storage.delete(sketch_key(file.object_key))
            file.purged_at = func.now()


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings = get_settings()
    engine, storage = make_engine(settings), Storage(settings)
    leave = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: leave.set())
    log.info("reconciling every %s s", settings.poll_seconds)
    contact = Contact(gap=settings.poll_seconds + settings.lease_seconds / 2)
    while not leave.wait(settings.poll_seconds):
        try:
            reconcile(engine, storage, settings, reaping=contact.seconds() > settings.lease_seconds)
        except Exception as error:
            contact.lost()
            log.warning("this pass failed, the next one tries again: %s", error)


if __name__ == "__main__":
    main()
