"""SQL about jobs, as their owners see them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    and_,
    any_,
    cast,
    delete,
    exists,
    func,
    or_,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from core.access.owner import Owner
from core.errors import NotFound
from core.jobs.states import QUEUED, VALIDATING_FILES
from core.models import (
    Artifact,
    Attempt,
    Checkpoint,
    CheckpointPermission,
    Event,
    File,
    Job,
    LogChunk,
    Metric,
    Model,
    PromptCheck,
)
from core.models.job import INPUTS, REWARD_MODELS
from core.paging import Page, page, unknown_cursor
from core.storage import Entry

# What LIKE takes for more than the character itself, and how it is told not to.
LIKE_WORDS = re.compile(r"([\\%_])")
PLAIN = r"\\\1"


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


@dataclass(frozen=True)
class JobFilter:
    """What a list of jobs is narrowed down to; None leaves a field open, but `metadata=None` asks for jobs without.

    statuses, methods: any of them. from_job: they start from a model or checkpoint that this job made, or are rewarded
    by one. search: a part of the id, the names of models, the suffix, a value of the metadata or the error's message,
    in upper or lower case.
    """

    metadata: dict[str, str] | None = field(default_factory=dict)
    statuses: Sequence[str] | None = None
    methods: Sequence[str] | None = None
    model: str | None = None
    project_id: str | None = None
    from_job: str | None = None
    search: str | None = None

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        if self.metadata is None:
            yield Job.spec["metadata"].astext.is_(None)
        elif self.metadata:
            yield Job.spec["metadata"].contains(self.metadata)
        if self.statuses is not None:
            yield Job.status.in_(self.statuses)
        if self.methods is not None:
            yield Job.spec["method"]["type"].astext.in_(self.methods)
        if self.model is not None:
            yield (Job.model == self.model) | (Job.base_model == self.model)
        if self.project_id is not None:
            yield Job.project_id == self.project_id
        if self.from_job is not None:
            yield _uses_models_of(self.from_job)
        if self.search is not None:
            yield Job.search_text.like(func.lower(f"%{LIKE_WORDS.sub(PLAIN, self.search)}%"))


def _uses_models_of(job_id: str) -> ColumnElement[bool]:
    """Whether a job starts from a model that another one made, deleted ones too, or is rewarded by one."""

    def array(statement: Select[str]) -> ColumnElement[Any]:
        """Known before anything else is looked for: only so do indexes help on both sides of OR, and so does no plan
        walk through all jobs in their order until there are enough for a page."""
        return func.array(statement.correlate(None).scalar_subquery(), type_=ARRAY(Text))

    def of_its_models(column: ColumnElement[str]) -> ColumnElement[Any]:
        return array(select(cast(column, Text)).where(Model.job_id == job_id))

    starts = Job.parent_model_id == any_(of_its_models(Model.id.expression))
    # By name: no other model ever has it.
    rewarded = REWARD_MODELS.has_any(of_its_models(Model.name.expression))
    return Job.id == any_(array(select(cast(Job.id, Text)).where(or_(starts, rewarded))))


def jobs(session: Session, *, owner: Owner, wanted: JobFilter, after: str | None, limit: int) -> Page[Job]:
    """Jobs, newest first."""
    if wanted.search is not None:
        # How to look for it depends on how rare it is: a plan that suits any text suits no frequent one.
        session.execute(text("SET LOCAL plan_cache_mode = force_custom_plan"))
    statement = select(Job).where(owner.owns(Job.project_id), *wanted.conditions())
    cursor = None
    if after is not None:
        cursor = session.execute(
            select(Job.created_at, Job.id).where(Job.id == after, owner.owns(Job.project_id))
        ).one_or_none()
        if cursor is None:
            raise unknown_cursor(after)
    return page(session, statement, by=(Job.created_at, Job.id), after=cursor and tuple(cursor), limit=limit)


def events(session: Session, *, job: Job, after: str | None, limit: int, type: str | None = None) -> Page[Event]:
    """What happened to the job, newest first; type: of those alone."""
    cursor = None
    if after is not None:
        seq = session.scalar(select(Event.seq).where(Event.job_id == job.id, Event.id == after))
        if seq is None:
            raise unknown_cursor(after)
        cursor = (seq,)
    statement = select(Event).where(Event.job_id == job.id)
    if type is not None:
        statement = statement.where(Event.type == type)
    return page(session, statement, by=(Event.seq,), after=cursor, limit=limit)


def events_behind(session: Session, *, job_id: str, seq: int, limit: int) -> list[Event]:
    """The events that follow number `seq`, in their order; the caller has seen to it that the job may be read."""
    statement = select(Event).where(Event.job_id == job_id, Event.seq > seq).order_by(Event.seq).limit(limit)
    return list(session.scalars(statement))


def positions(session: Session, *, job_ids: list[str]) -> dict[str, tuple[int, str]]:
    """(number of the last event, status) by job, both of one moment."""
    rows = session.execute(select(Job.id, Job.event_seq, Job.status).where(Job.id.in_(job_ids)))
    return {row.id: (row.event_seq, row.status) for row in rows}


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


def forget_checkpoints(session: Session, *, job_id: str, keep: int) -> None:
    """Forget all but the last ones and those that other projects may use; `core.retention` takes their objects away."""
    older = select(Checkpoint).where(Checkpoint.job_id == job_id).order_by(Checkpoint.step.desc()).offset(keep)
    # Locked first, so that a permission that is being given is seen by the second statement.
    ids = [checkpoint.id for checkpoint in session.scalars(older.with_for_update())]
    granted = exists().where(CheckpointPermission.checkpoint_id == Checkpoint.id)
    gone = delete(Checkpoint).where(Checkpoint.id.in_(ids), ~granted).returning(Checkpoint.step)
    steps = list(session.scalars(gone))
    of_them = (Model.job_id == job_id, Model.checkpoint_step.in_(steps), Model.deleted_at.is_(None))
    session.execute(update(Model).where(*of_them).values(deleted_at=func.now()))


def artifacts(session: Session, *, job: Job) -> list[Artifact]:
    return list(session.scalars(select(Artifact).where(Artifact.job_id == job.id).order_by(Artifact.name)))


def checkpoint_artifacts(session: Session, *, job: Job, step: int) -> list[Artifact]:
    """The files of the job's checkpoint after that step, as artifacts that are rows of no table.

    Raises:
        NotFound: it has none there, or no longer.
    """
    found = session.scalar(select(Checkpoint).where(Checkpoint.job_id == job.id, Checkpoint.step == step))
    if found is None:
        raise NotFound(f"step: job {job.id} has no checkpoint after step {step}", param="step")
    return [
        Artifact(
            id=f"{found.id}:{entry.name}",
            job_id=job.id,
            created_at=found.created_at,
            object_key=f"{found.prefix}{entry.name}",
            **asdict(entry),
        )
        for entry in sorted(Entry.many(found.manifest), key=lambda entry: entry.name)
    ]


def metrics(session: Session, *, job: Job) -> Iterator[tuple[int, dict[str, Any]]]:
    """(step, figures) of every step that is known, in order; never many of them in memory."""
    statement = select(Metric.step, Metric.data).where(Metric.job_id == job.id).order_by(Metric.step)
    for row in session.execute(statement, execution_options={"yield_per": 1000}):
        yield row.step, row.data


def logs(session: Session, *, job: Job, after: int | None, limit: int, descending: bool) -> Page[LogChunk]:
    statement = select(LogChunk).where(LogChunk.job_id == job.id)
    cursor = None if after is None else (after,)
    return page(session, statement, by=(LogChunk.seq,), after=cursor, limit=limit, descending=descending)


def attempts(session: Session, *, job: Job, after: int | None, limit: int) -> Page[tuple[int, Attempt]]:
    """The tries at the job, the latest first, each with its number, from 1 on."""
    statement = select(Attempt).where(Attempt.job_id == job.id)
    found = page(session, statement, by=(Attempt.token,), after=None if after is None else (after,), limit=limit)
    if not found.items:
        return Page([], has_more=False)
    earlier = (Attempt.job_id == job.id, Attempt.token <= found.items[0].token)
    number = session.scalars(select(func.count()).where(*earlier)).one()
    return Page([(number - i, attempt) for i, attempt in enumerate(found.items)], has_more=found.has_more)


def queue_position(session: Session, *, job: Job) -> int | None:
    """How many jobs of its own standing would be claimed before it, and one; None unless it is queued.

    By priority and age: a fair share between projects may bring it forward.
    """
    if job.status != QUEUED:
        return None
    ahead = or_(
        Job.priority > job.priority,
        and_(Job.priority == job.priority, tuple_(Job.created_at, Job.id) < tuple_(job.created_at, job.id)),
    )
    return 1 + (session.scalar(select(func.count()).select_from(Job).where(Job.status == QUEUED, ahead)) or 0)


def waiting_for(session: Session, *, file_id: str) -> list[Job]:
    """The jobs that wait for a file, locked."""
    statement = select(Job).where(
        Job.status == VALIDATING_FILES,
        or_(*(column == file_id for column in INPUTS.values())),
    )
    return list(session.scalars(statement.with_for_update().execution_options(populate_existing=True)))


def waiting_with_finished_file(session: Session) -> list[Job]:
    """Jobs that wait for files of which at least one is finished already, locked; not those whose prompts wait."""
    finished = select(File.id).where(File.status != "uploaded")
    statement = select(Job).where(
        Job.status == VALIDATING_FILES,
        or_(*(column.in_(finished) for column in INPUTS.values())),
        ~exists().where(PromptCheck.job_id == Job.id),
    )
    return list(session.scalars(statement.with_for_update(skip_locked=True).execution_options(populate_existing=True)))


def line(session: Session, *, job: Job) -> Iterator[Job]:
    """The job, the one that made the model that it began from, and so on."""
    yield job
    while job.parent_model_id is not None:
        job = session.get_one(Job, session.get_one(Model, job.parent_model_id).job_id)
        yield job


def origin(session: Session, *, job: Job) -> Job:
    """The first job of the line that leads to this one."""
    *_, first = line(session, job=job)
    return first


def files_of(session: Session, *, job: Job) -> list[tuple[str, File]]:
    """(parameter, file) of the job's inputs."""
    below = f"method.{job.spec['method']['type']}."
    ids = ((key if key.endswith("_file") else below + key, getattr(job, column.key)) for key, column in INPUTS.items())
    return [(param, session.get_one(File, id)) for param, id in ids if id is not None]
