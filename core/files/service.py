"""What clients ask of files."""

from datetime import timedelta

from sqlalchemy import func
from sqlalchemy.orm import Session

from core.access import repository as access
from core.access.owner import Owner
from core.access.service import require_project
from core.db import after_commit
from core.files import repository
from core.ids import new_id
from core.models import File
from core.queue import ring
from core.storage import Entry

# Only these are training data; the contract's other purposes are stored as they are.
VALIDATED_PURPOSE = "fine-tune"


def new_object_key(session: Session, *, owner: Owner) -> tuple[str, str]:
    """An id for a file to come, and the key at which its bytes go."""
    project_id = require_project(owner)
    file_id = new_id("file-")
    organization = access.organization_of_project(session, project_id)
    return file_id, f"orgs/{organization.id}/files/{file_id}"


def create(
    session: Session,
    *,
    owner: Owner,
    file_id: str,
    filename: str,
    purpose: str,
    stored: Entry,
    object_key: str,
    expires_after: int | None = None,
) -> File:
    """Insert a file whose bytes are in the store; training data then waits for its validation.

    Args:
        expires_after: seconds from now after which the file is gone; null: it stays.
    """
    waits = purpose == VALIDATED_PURPOSE
    file = File(
        id=file_id,
        project_id=require_project(owner),
        filename=filename,
        purpose=purpose,
        bytes=stored.bytes,
        sha256=stored.sha256,
        object_key=object_key,
        status="uploaded" if waits else "processed",
        expires_at=None if expires_after is None else func.now() + timedelta(seconds=expires_after),
    )
    session.add(file)
    if waits:
        after_commit(session, lambda: ring("cpu"))
    session.flush()
    return file


def delete(session: Session, *, owner: Owner, file_id: str) -> File:
    """Delete a file at once; the reconciler purges its bytes when no unfinished job needs them."""
    file = repository.get(session, owner=owner, file_id=file_id, lock=True)
    file.deleted_at = func.now()
    return file
