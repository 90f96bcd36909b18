from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from api.answer import as_json
from api.body import described_by
from api.deps import After, CatalogueDep, OwnerDep, SessionDep, SettingsDep
from api.grading import CheckedJobDep
from api.known_models import KnownModelsDep
from api.once import OnceDep
from api.query import metadata_filter
from api.schemas.job import CheckpointObject, JobObject
from api.schemas.page import ListPage
from api.validation import some_of
from core.access.repository import organization_of_project
from core.jobs import repository, service
from core.jobs.states import STATES
from core.specs.job import JobSpec
from core.specs.method import USABLE_KINDS

router = APIRouter(prefix="/fine_tuning/jobs", tags=["fine-tuning"])
Limit = Annotated[int, Query(ge=1, le=100)]


@router.post("", response_model=JobObject, openapi_extra=described_by(JobSpec))
def create_job(
    spec: CheckedJobDep,
    known: KnownModelsDep,
    owner: OwnerDep,
    session: SessionDep,
    catalogue: CatalogueDep,
    settings: SettingsDep,
    once: OnceDep,
) -> Response:
    """Create a fine-tuning job. It is persisted when this answers; a worker takes it up when a slot is free."""
    job = service.create(
        session,
        owner=owner,
        catalogue=catalogue,
        spec=spec,
        known=known,
        integrations=settings.integrations,
        max_parameters=settings.initialization_max_parameters,
    )
    return as_json(once.keep(JobObject.of(session, job, settings)))


@router.get("", response_model=ListPage[JobObject])
def list_jobs(
    request: Request,
    owner: OwnerDep,
    session: SessionDep,
    settings: SettingsDep,
    after: After = None,
    limit: Limit = 20,
    status: Annotated[str | None, Query(max_length=200)] = None,
    method: Annotated[str | None, Query(max_length=200)] = None,
    model: Annotated[str | None, Query(max_length=256)] = None,
    project_id: Annotated[str | None, Query(max_length=64)] = None,
    from_job: Annotated[str | None, Query(max_length=64)] = None,
    search: Annotated[str | None, Query(min_length=1, max_length=100)] = None,
    metadata: Annotated[Literal["null"] | None, Query()] = None,
) -> Response:
    """Jobs, newest first; `metadata[key]=value` narrows them down, `metadata=null` to those without any.

    `model` is what the job was asked for with, or the base model that it runs on. `status` and `method` take several,
    with commas between them. `from_job`: those that start from a model or checkpoint that this job made, or are
    rewarded by one. `search` is a part, in upper or lower case, of the id, the names of its models, the suffix, a value
    of the metadata or the error's message.
    """
    wanted = repository.JobFilter(
        metadata=None if metadata else metadata_filter(request),
        statuses=some_of("status", status, STATES),
        methods=some_of("method", method, USABLE_KINDS),
        model=model,
        project_id=project_id,
        from_job=from_job,
        search=search,
    )
    page = repository.jobs(session, owner=owner, wanted=wanted, after=after, limit=limit)
    jobs = JobObject.many(session, page.items, settings)
    return as_json(ListPage[JobObject](data=jobs, has_more=page.has_more))


@router.get("/{job_id}", response_model=JobObject)
def retrieve_job(job_id: str, owner: OwnerDep, session: SessionDep, settings: SettingsDep) -> Response:
    """The job as it stands; while it is queued also its place in the queue."""
    job = repository.get(session, owner=owner, job_id=job_id)
    answer = JobObject.of(session, job, settings)
    answer.queue_position = repository.queue_position(session, job=job)
    return as_json(answer)


@router.post("/{job_id}/cancel")
def cancel_job(job_id: str, owner: OwnerDep, session: SessionDep, settings: SettingsDep) -> JobObject:
    """Cancel the job at once, wherever it is; its trainer is stopped within a heartbeat."""
    return JobObject.of(session, service.cancel(session, owner=owner, job_id=job_id), settings)


@router.post("/{job_id}/pause")
def pause_job(job_id: str, owner: OwnerDep, session: SessionDep, settings: SettingsDep) -> JobObject:
    """Pause the job: at once where it is queued, after a checkpoint where it runs."""
    return JobObject.of(session, service.pause(session, owner=owner, job_id=job_id), settings)


@router.post("/{job_id}/resume")
def resume_job(job_id: str, owner: OwnerDep, session: SessionDep, settings: SettingsDep) -> JobObject:
    """Queue a paused job again; it goes on from its last checkpoint."""
    return JobObject.of(session, service.resume(session, owner=owner, job_id=job_id), settings)


@router.get("/{job_id}/checkpoints")
def list_checkpoints(
    job_id: str, owner: OwnerDep, session: SessionDep, after: After = None, limit: Limit = 10
) -> ListPage[CheckpointObject]:
    """Checkpoints, latest first. Each is a model that jobs may start from."""
    job = repository.get(session, owner=owner, job_id=job_id)
    organization = organization_of_project(session, job.project_id).name
    page = repository.checkpoints(session, job=job, after=after, limit=limit)
    data = [CheckpointObject.of(item, job=job, organization=organization) for item in page.items]
    return ListPage(
        data=data,
        has_more=page.has_more,
        first_id=data[0].id if data else None,
        last_id=data[-1].id if data else None,
    )
