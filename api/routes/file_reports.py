from typing import Annotated

from fastapi import APIRouter, Query

from api.deps import EngineDep, OwnerDep, StorageDep
from api.schemas.file_report import FileReport
from core.db import session_scope
from core.files import report, repository

router = APIRouter(prefix="/files", tags=["files"])


@router.get("/{file_id}/report")
def report_file(
    file_id: str,
    owner: OwnerDep,
    engine: EngineDep,
    storage: StorageDep,
    validation_file: Annotated[
        str | None, Query(min_length=1, max_length=64, description="A file to find this one's rows in.")
    ] = None,
) -> FileReport:
    """What validation found out about a file: faults, lengths, duplicates, personal data; with `validation_file`, what
    the two have in common, once both are processed. A file that waits for its validation has nulls."""
    with session_scope(engine) as session:  # ends before the store is read
        file = repository.get(session, owner=owner, file_id=file_id)
        other = validation_file and repository.get(
            session, owner=owner, file_id=validation_file, param="validation_file"
        )
    overlap = None
    if other:
        sketches = report.stored_sketch(file), report.stored_sketch(other)
        if sketches[0] and sketches[1]:
            shared = report.overlap(storage, training=sketches[0], validation=sketches[1])
            overlap = {"validation_file": other.id, **shared}
    return FileReport.of(file, overlap=overlap)
