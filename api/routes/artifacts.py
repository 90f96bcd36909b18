import time
from typing import Annotated

from fastapi import APIRouter, Query

from api.deps import OwnerDep, SessionDep, SettingsDep, StorageDep
from api.schemas.job import ArtifactObject
from api.schemas.page import ListPage
from core.jobs import repository

router = APIRouter(prefix="/fine_tuning/jobs", tags=["fine-tuning"])


@router.get("/{job_id}/artifacts")
def list_artifacts(
    job_id: str,
    owner: OwnerDep,
    session: SessionDep,
    storage: StorageDep,
    settings: SettingsDep,
    step: Annotated[int | None, Query(ge=0, le=2**31 - 1)] = None,
) -> ListPage[ArtifactObject]:
    """The files that the job yielded, all of them or (before it has succeeded) none, each with a download link.

    With `step` those of its checkpoint after that step: the weights, and what the training goes on with.
    """
    job = repository.get(session, owner=owner, job_id=job_id)
    if step is None:
        found = repository.artifacts(session, job=job)
    else:
        found = repository.checkpoint_artifacts(session, job=job, step=step)
    expires_at = int(time.time()) + settings.presign_seconds
    data = [
        ArtifactObject.of(
            artifact,
            url=storage.presign(artifact.object_key, filename=artifact.name, seconds=settings.presign_seconds),
            url_expires_at=expires_at,
        )
        for artifact in found
    ]
    return ListPage(data=data)
