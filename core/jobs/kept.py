"""Files of lines that a job keeps with what it yields."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from core.jobs import repository
from core.models import Job
from core.storage import Entry


@dataclass(frozen=True)
class Kept:
    """Where the file lies."""

    key: str
    entry: Entry


def kept(session: Session, *, job: Job, name: str) -> Kept | None:
    """What the job yielded, or, before that, what its latest checkpoint holds; None where there is neither."""
    artifact = next((found for found in repository.artifacts(session, job=job) if found.name == name), None)
    if artifact is not None:
        return Kept(artifact.object_key, Entry(name, artifact.bytes, artifact.sha256))
    checkpoint = repository.latest_checkpoint(session, job_id=job.id)
    if checkpoint is None:
        return None
    entries = (entry for entry in Entry.many(checkpoint.manifest) if entry.name == name)
    return next((Kept(f"{checkpoint.prefix}{name}", entry) for entry in entries), None)
