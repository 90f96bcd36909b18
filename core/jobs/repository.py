"""SQL about jobs, as their owners see them."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.access.owner import Owner
from core.errors import NotFound
from core.jobs.states import VALIDATING_FILES
from core.models import Artifact, Checkpoint, Event, File, Job
from core.paging import Page, page, unknown_cursor


def get(session: Session, *, owner: Owner, job_id: str, lock: bool = False) -> Job:
    """The job, locked for a change where asked.

    Raises:
        NotFound: there is none of that id that this owner may see.
    """
    statement = select(Job).where(Job.id == job_id, owner.owns(Job.project_id))
    if lock:
        statement = statement.with_for_update().execution_options(populate_existing=True)
    job = session.scalar(statement)
    if job is None:
        raise NotFound(f"no fine-tuning job {job_id!r}", param="fine_tuning_job_id")
    return job


def jobs(
    session: Session, *, owner: Owner, metadata: dict[str, str] | None, after: str | None, limit: int
) -> Page[Job]:
    """Jobs, newest first, whose metadata holds these pairs; None: that have no metadata."""
    statement = select(Job).where(owner.owns(Job.project_id))
    if metadata is None:
        statement = statement.where(Job.spec["metadata"].astext.is_(None))
    elif metadata:
        statement = statement.where(Job.spec["metadata"].contains(metadata))
    cursor = None
    if after is not None:
        cursor = session.execute(
            select(Job.created_at, Job.id).where(Job.id == after, owner.owns(Job.project_id))
        ).one_or_none()
        if cursor is None:
            raise unknown_cursor(after)
    return page(session, statement, by=(Job.created_at, Job.id), after=cursor and tuple(cursor), limit=limit)


def events(session: Session, *, job: Job, after: str | None, limit: int) -> Page[Event]:
    cursor = None
    if after is not None:
        seq = session.scalar(select(Event.seq).where(Event.job_id == job.id, Event.id == after))
        if seq is None:
            raise unknown_cursor(after)
        cursor = (seq,)
    return page(session, select(Event).where(Event.job_id == job.id), by=(Event.seq,), after=cursor, limit=limit)


def checkpoints(session: Session, *, job: Job, after: str | None, limit: int) -> Page[Checkpoint]:
    cursor = None
    if after is not None:
        step = session.scalar(select(Checkpoint.step).where(Checkpoint.job_id == job.id, Checkpoint.id == after))
        if step is None:
            raise unknown_cursor(after)
        cursor = (step,)
    statement = select(Checkpoint).where(Checkpoint.job_id == job.id)
    return page(session, statement, by=(Checkpoint.step,), after=cursor, limit=limit)


def latest_checkpoint(session: Session, *, job_id: str) -> Checkpoint | None:
    return session.scalar(
        select(Checkpoint).where(Checkpoint.job_id == job_id).order_by(Checkpoint.step.desc()).limit(1)
    )


def artifacts(session: Session, *, job: Job) -> list[Artifact]:
    return list(session.scalars(select(Artifact).where(Artifact.job_id == job.id).order_by(Artifact.name)))


def waiting_for(session: Session, *, file_id: str) -> list[Job]:
    """The jobs that wait for a file, locked."""
    statement = select(Job).where(
        Job.status == VALIDATING_FILES,
        (Job.training_file_id == file_id) | (Job.validation_file_id == file_id),
    )
    return list(session.scalars(statement.with_for_update().execution_options(populate_existing=True)))


def waiting_with_finished_file(session: Session) -> list[Job]:
    """Jobs that wait for files of which at least one is finished already, locked."""
    finished = select(File.id).where(File.status != "uploaded")
    statement = select(Job).where(
        Job.status == VALIDATING_FILES,
        Job.training_file_id.in_(finished) | Job.validation_file_id.in_(finished),
    )
    return list(session.scalars(statement.with_for_update(skip_locked=True).execution_options(populate_existing=True)))


def files_of(session: Session, *, job: Job) -> list[tuple[str, File]]:
    """(parameter, file) of the job's inputs."""
    ids = {"training_file": job.training_file_id, "validation_file": job.validation_file_id}
    return [(param, session.get_one(File, id)) for param, id in ids.items() if id is not None]
