"""What time takes away: expired files and uploads, the parts of uploads that have ended, answers kept for retries,
webhooks that were delivered or given up, checkpoints that a job keeps no longer, and objects that no row points to.
"""

import logging

from sqlalchemy import Engine, func

from core.db import session_scope
from core.files import repository as files
from core.files.report import sketch_key
from core.idempotency import repository as idempotency
from core.objects.repository import ROOT, folder_keys, prefixes
from core.objects.verdicts import abandoned, judge
from core.ops import tallies
from core.registry import repository as registry
from core.settings import Settings
from core.storage import STORE_ERRORS, Storage
from core.uploads import repository as uploads
from core.webhooks import repository as webhooks
from core.workers import repository as workers

log = logging.getLogger(__name__)
AT_ONCE = 100  # files, parts, or checkpoints; the next pass goes on
DELIVERY_SECONDS = 7 * 24 * 3600.0  # for which people may look up how a webhook ended
WORKER_SECONDS = 7 * 24 * 3600.0  # for which a process that is gone is remembered


def retire(engine: Engine, storage: Storage, settings: Settings) -> None:
    """One pass of the reconciler. Safe to run at any time, twice at once too: what is gone is deleted again in vain."""
    with session_scope(engine) as session:
        files.delete_expired(session)
        uploads.expire_overdue(session)
        idempotency.delete_older(session, seconds=settings.idempotency_seconds)
        webhooks.delete_ended(session, seconds=DELIVERY_SECONDS)
        workers.delete_gone(session, seconds=WORKER_SECONDS)
        parts = uploads.parts_of_ended(session, limit=AT_ONCE)
        checkpoints = [(model.id, model.prefix, model.manifest) for model in registry.forgotten(session, limit=AT_ONCE)]
    for part in parts:
        storage.delete(part.object_key)
    for _, prefix, manifest in checkpoints:
        for key in folder_keys(prefix, manifest):
            storage.delete(key)
    # The rows go last: while one is there, its object is not forgotten.
    with session_scope(engine) as session:
        uploads.delete_parts(session, ids=[part.id for part in parts])
        registry.empty(session, ids=[id for id, _, _ in checkpoints])
        for label, gone in (("upload_part", parts), ("checkpoint", checkpoints)):
            if gone:
                tallies.count(session, "objects_removed", label=label, by=len(gone))


def purge_deleted_files(engine: Engine, storage: Storage) -> None:
    """Remove the bytes of deleted files that no unfinished job needs."""
    with session_scope(engine) as session:
        purged = files.purgeable(session, limit=AT_ONCE)
        for file in purged:
            storage.delete(file.object_key)
            storage.delete(sketch_key(file.object_key))
            file.purged_at = func.now()
        if purged:
            tallies.count(session, "objects_removed", label="file", by=len(purged))


def sweep(engine: Engine, storage: Storage, *, after: str, youngest: float) -> str:
    """Look at the next page of the store and remove what is orphaned: what attempts that were lost have uploaded and
    never published, what an API that was killed had no row for yet.

    Args:
        after: the key that the look before has ended at; "" begins anew.
        youngest: seconds; what is younger stays, as its row may be about to be written.

    Returns:
        The key that this look has ended at; "" behind the last one.
    """
    if not after:
        try:
            abort_unfinished(engine, storage, youngest=youngest)
        except STORE_ERRORS as error:  # this key of the store may not list them; the sweep needs objects only
            log.warning("unfinished uploads to the store are not looked for: %s", error)
    page = storage.page(ROOT, after=after)
    if not page:
        return ""
    with session_scope(engine) as session:
        verdicts = judge(session, page, youngest=youngest)
    orphaned = [stored for stored, verdict in zip(page, verdicts, strict=True) if verdict == "orphaned"]
    for stored in orphaned:
        storage.delete(stored.key)
    _removed(engine, "orphan", len(orphaned))
    return page[-1].key


def abort_unfinished(engine: Engine, storage: Storage, *, youngest: float) -> None:
    """Give up the uploads to the store that nobody has finished: a process that was killed has left them."""
    with session_scope(engine) as session:
        ours = prefixes(session)
    begun = [upload for prefix in ours for upload in storage.unfinished(prefix)]
    with session_scope(engine) as session:
        old = abandoned(session, begun, youngest=youngest)
    for upload in old:
        storage.abort(upload)
    _removed(engine, "unfinished", len(old))


def _removed(engine: Engine, label: str, number: int) -> None:
    if number:
        log.info("%d objects removed from the store: %s", number, label)
        with session_scope(engine) as session:
            tallies.count(session, "objects_removed", label=label, by=number)
