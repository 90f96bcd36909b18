"""Files of lines that a job keeps with what it yields."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from core.access.owner import Owner
from core.db import session_scope
from core.jobs import repository
from core.models import Job
from core.scratch import scratch
from core.storage import Entry, Storage


@dataclass(frozen=True)
class Kept:
    """Where the file lies."""

    key: str
    entry: Entry


@contextmanager
def kept_file(engine: Engine, storage: Storage, *, owner: Owner, job_id: str, name: str) -> Iterator[Path | None]:
    """A copy for the length of the block: of what the job yielded, or, before that, of what its latest checkpoint
    holds; None where there is neither.

    Raises:
        NotFound: there is no job of that id that this owner may see.
    """
    with session_scope(engine) as session:  # ends before the store is read
        file = _kept(session, job=repository.get(session, owner=owner, job_id=job_id), name=name)
    if file is None:
        yield None
        return
    with scratch("kept") as folder:
        storage.get_file(file.key, folder / name, entry=file.entry)
        yield folder / name


def _kept(session: Session, *, job: Job, name: str) -> Kept | None:
    artifact = next((found for found in repository.artifacts(session, job=job) if found.name == name), None)
    if artifact is not None:
        return Kept(artifact.object_key, Entry(name, artifact.bytes, artifact.sha256))
    checkpoint = repository.latest_checkpoint(session, job_id=job.id)
    if checkpoint is None:
        return None
    entries = (entry for entry in Entry.many(checkpoint.manifest) if entry.name == name)
    return next((Kept(f"{checkpoint.prefix}{name}", entry) for entry in entries), None)
