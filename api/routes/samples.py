from typing import Annotated

from fastapi import APIRouter, Query

from api.deps import After, EngineDep, OwnerDep, StorageDep
from api.schemas.page import ListPage
from api.schemas.sample import SampleObject
from core.db import session_scope
from core.jobs import repository, samples
from core.jobs.kept import kept
from core.scratch import scratch

router = APIRouter(prefix="/fine_tuning/jobs", tags=["fine-tuning"])


@router.get("/{job_id}/samples")
def list_samples(
    job_id: str,
    owner: OwnerDep,
    engine: EngineDep,
    storage: StorageDep,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> ListPage[SampleObject]:
    """What the model made of validation rows before and after training; none before the job has succeeded."""
    with session_scope(engine) as session:  # ends before the store is read
        file = kept(session, job=repository.get(session, owner=owner, job_id=job_id), name=samples.FILE)
    if file is None:
        return ListPage.of([], has_more=False)
    with scratch("samples") as folder:
        storage.get_file(file.key, folder / samples.FILE, entry=file.entry)
        page = samples.page(folder / samples.FILE, after=after, limit=limit)
    return ListPage.of([SampleObject.model_validate(row) for row in page.items], has_more=page.has_more)
