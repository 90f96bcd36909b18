"""`python -m worker.reconciler`: puts right what crashes have left, a little every few seconds.

A process of its own, not a Celery task: it must work while the broker is away. Any number may run; an advisory
lock lets one of them give work back at a time, and removing what is gone already does no harm.
"""

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Engine

from core.db import make_engine, session_scope, transaction_time, try_lock
from core.exports import claims as export_claims
from core.files import claims as file_claims
from core.jobs import claims as job_claims
from core.jobs import prompt_checks
from core.jobs.service import advance_waiting
from core.leases import Limits
from core.logs import bind_process, configure
from core.ops import tallies
from core.retention import purge_deleted_files, retire, sweep
from core.settings import Settings, get_settings
from core.storage import Storage
from core.webhooks import claims as delivery_claims
from core.workers import repository as workers
from worker.cost import resident_family

log = logging.getLogger(__name__)
REST_SECONDS = 3600.0  # between two rounds through the store


class Contact:
    """For how long this process has reached the database without a break; times are on the database's clock.

    While it could not, nobody else may have been able to renew a lease: expired ones say nothing until a lease later.

    Args:
        longest_gap: seconds between two passes that are no break yet.
    """

    def __init__(self, *, longest_gap: float) -> None:
        self._longest_gap = timedelta(seconds=longest_gap)
        self._since: datetime | None = None
        self._last: datetime | None = None

    def made(self, at: datetime) -> float:
        """Note that the database answers; since how many seconds it does."""
        if self._since is None or self._last is None or at - self._last > self._longest_gap:
            self._since = at
        self._last = at
        return (at - self._since).total_seconds()

    def lost(self) -> None:
        self._last = None


def give_back(engine: Engine, settings: Settings, contact: Contact) -> None:
    """Take work from whoever has not renewed its lease. Safe to run at any time, anywhere, twice."""
    limits = Limits.of(settings)
    try:
        with session_scope(engine) as session:
            seconds = contact.made(transaction_time(session))
            if not try_lock(session, "reconciler"):
                return
            if seconds >= settings.lease_seconds:
                jobs = job_claims.reap(session, limits=limits)
                files = file_claims.reap(session, limits=limits)
                deliveries = delivery_claims.reap(session, limits=limits)
                exports = export_claims.reap(session, limits=limits)
                checks = prompt_checks.reap(session, limits=limits)
                if jobs or files or deliveries or exports or checks:
                    what = "%d jobs, %d validations, %d webhooks, %d exports and %d checks of prompts"
                    log.warning(f"leases expired: {what} were given back", jobs, files, deliveries, exports, checks)
            advance_waiting(session)
            prompt_checks.let_go(session)
            tallies.fold(session)
    except Exception:
        contact.lost()
        raise


def tidy(engine: Engine, storage: Storage, settings: Settings) -> None:
    """Remove what nobody needs any more from database and store."""
    retire(engine, storage, settings)
    purge_deleted_files(engine, storage)


class Sweeper:
    """Goes through the whole store, a page a step, and rests between two rounds."""

    def __init__(self, engine: Engine, storage: Storage, *, youngest: float) -> None:
        self._engine, self._storage, self._youngest = engine, storage, youngest
        self._after = ""
        self._rests_until = 0.0

    def step(self) -> None:
        if time.monotonic() < self._rests_until:
            return
        self._after = sweep(self._engine, self._storage, after=self._after, youngest=self._youngest)
        if not self._after:
            self._rests_until = time.monotonic() + REST_SECONDS


def report(engine: Engine, name: str) -> None:
    """Say that this process is alive and reaches the database."""
    with session_scope(engine) as session:
        workers.report(
            session,
            worker_id=name,
            queue="reconciler",
            slots=0,
            devices=[],
            current_attempts=[],
            host=socket.gethostname(),
            resident_bytes=resident_family(os.getpid()),
        )


def main() -> None:
    settings = get_settings()
    name = f"reconciler@{socket.gethostname()}"
    configure(settings)
    bind_process(worker=name)
    engine, storage = make_engine(settings), Storage(settings)
    leave = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: leave.set())
    # Between two heartbeats of a worker a break can't cost it its lease.
    contact = Contact(longest_gap=max(settings.heartbeat_seconds, 3 * settings.poll_seconds))

    def repeat(work: Callable[[], None]) -> None:
        while not leave.wait(settings.poll_seconds):
            try:
                work()
            except Exception as error:
                log.warning("this pass failed, the next one tries again: %s", error)

    def keep_leases() -> None:
        give_back(engine, settings, contact)
        report(engine, name)

    log.info("reconciling every %s s", settings.poll_seconds)
    # In threads of their own: a store that hangs must hold up nobody's lease.
    sweeper = Sweeper(engine, storage, youngest=settings.orphan_seconds)
    for work in (partial(tidy, engine, storage, settings), sweeper.step):
        threading.Thread(target=repeat, args=(work,), name="tidy", daemon=True).start()
    repeat(keep_leases)


if __name__ == "__main__":
    main()
