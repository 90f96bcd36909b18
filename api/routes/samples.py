from typing import Annotated

from fastapi import APIRouter, Query

from api.deps import After, EngineDep, OwnerDep, StorageDep
from api.schemas.page import ListPage
from api.schemas.sample import SampleObject
from core.jobs import samples
from core.jobs.kept import kept_file

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
    """What the model made of validation rows before and after training; none before the job has succeeded.

    A page ends before `limit` where its texts are long.
    """
    with kept_file(engine, storage, owner=owner, job_id=job_id, name=samples.FILE) as path:
        if path is None:
            return ListPage.of([], has_more=False)
        page = samples.page(path, after=after, limit=limit)
    return ListPage.of([SampleObject.model_validate(row) for row in page.items], has_more=page.has_more)
