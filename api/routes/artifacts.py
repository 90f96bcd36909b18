import time

from fastapi import APIRouter

from api.deps import OwnerDep, SessionDep, SettingsDep, StorageDep
from api.schemas.job import ArtifactObject
from api.schemas.page import ListPage
from core.jobs import repository

router = APIRouter(prefix="/fine_tuning/jobs", tags=["fine-tuning"])


@router.get("/{job_id}/artifacts")
def list_artifacts(
    job_id: str, owner: OwnerDep, session: SessionDep, storage: StorageDep, settings: SettingsDep
) -> ListPage[ArtifactObject]:
    """The files that the job yielded, all of them or (before it has succeeded) none, each with a download link."""
    job = repository.get(session, owner=owner, job_id=job_id)
    expires_at = int(time.time()) + settings.presign_seconds
    data = [
        ArtifactObject.of(
            artifact,
            url=storage.presign(artifact.object_key, filename=artifact.name, seconds=settings.presign_seconds),
            url_expires_at=expires_at,
        )
        for artifact in repository.artifacts(session, job=job)
    ]
    return ListPage(data=data)
