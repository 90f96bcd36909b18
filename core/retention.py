"""What time takes away: expired files and uploads, the parts of uploads that have ended, answers kept for retries,
webhooks that were delivered or given up, checkpoints that a job keeps no longer.
"""

from sqlalchemy import Engine

from core.db import session_scope
from core.files import repository as files
from core.idempotency import repository as idempotency
from core.registry import repository as registry
from core.settings import Settings
from core.storage import MANIFEST, Storage
from core.uploads import repository as uploads
from core.webhooks import repository as webhooks

AT_ONCE = 100  # parts, or checkpoints; the next pass goes on
DELIVERY_SECONDS = 7 * 24 * 3600.0  # for which people may look up how a webhook ended


def retire(engine: Engine, storage: Storage, settings: Settings) -> None:
    """One pass of the reconciler. Safe to run at any time, twice at once too: what is gone is deleted again in vain."""
    with session_scope(engine) as session:
        files.delete_expired(session)
        uploads.expire_overdue(session)
        idempotency.delete_older(session, seconds=settings.idempotency_seconds)
        webhooks.delete_ended(session, seconds=DELIVERY_SECONDS)
        parts = uploads.parts_of_ended(session, limit=AT_ONCE)
        checkpoints = [(model.id, model.prefix, model.manifest) for model in registry.forgotten(session, limit=AT_ONCE)]
    for part in parts:
        storage.delete(part.object_key)
    for _, prefix, manifest in checkpoints:
        for name in (*(entry["name"] for entry in manifest), MANIFEST):
            storage.delete(f"{prefix}{name}")
    # The rows go last: while one is there, its object is not forgotten.
    with session_scope(engine) as session:
        uploads.delete_parts(session, ids=[part.id for part in parts])
        registry.empty(session, ids=[id for id, _, _ in checkpoints])
