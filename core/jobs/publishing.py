"""What a running attempt writes. Each function begins with `hold`: a replaced attempt raises and writes nothing."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import func, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.access.repository import organization_of_project
from core.db import Now, after_commit, transaction_time
from core.ids import new_id
from core.jobs import repository
from core.jobs.claims import end_attempt, hold
from core.jobs.lifecycle import append_event, interrupt, transition
from core.jobs.states import FAILED, PAUSED, PAUSING, QUEUED, SUCCEEDED
from core.leases import Limits
from core.models import Artifact, Attempt, Checkpoint, File, Job, LogChunk, Metric, Model
from core.ops import tallies
from core.queue import ring
from core.registry.repository import full_base
from core.registry.service import model_name
from core.specs.job import JobSpec
from core.specs.run import CheckpointEvent, MessageEvent, MetricsEvent, ResolvedEvent, RunError, RunResult
from core.storage import Entry


@dataclass(frozen=True)
class Folder:
    """A folder in the store whose every file has been read back."""

    prefix: str
    entries: list[Entry]

    @property
    def bytes(self) -> int:
        return sum(entry.bytes for entry in self.entries)


@dataclass(frozen=True)
class Cost:
    """What an attempt has used since it began. GPU-seconds: GPUs held, times seconds."""

    cpu_seconds: float = 0.0
    gpu_seconds: float = 0.0


def heartbeat(session: Session, *, token: int, lease: float, cost: Cost, event_lag: float = 0.0) -> bool:
    """Renew the lease and charge the job; answers True where the attempt should checkpoint and stop, to pause.

    Args:
        event_lag: seconds for which something that the trainer has said has waited to be recorded.

    Raises:
        Replaced: the attempt must kill its trainer and leave.
    """
    job = charge(session, token=token, lease=lease, cost=cost)
    session.get_one(Attempt, token).event_lag_seconds = event_lag
    return job.status == PAUSING


def charge(session: Session, *, token: int, lease: float, cost: Cost) -> Job:
    """Charge the job for what the attempt has used since it was last charged: a repeated write counts once."""
    job = hold(session, token=token, lease=lease)
    attempt = session.get_one(Attempt, token, populate_existing=True)
    job.cpu_seconds += max(0.0, cost.cpu_seconds - attempt.cpu_seconds)
    job.gpu_seconds += max(0.0, cost.gpu_seconds - attempt.gpu_seconds)
    attempt.cpu_seconds = max(attempt.cpu_seconds, cost.cpu_seconds)
    attempt.gpu_seconds = max(attempt.gpu_seconds, cost.gpu_seconds)
    return job


def record_log(session: Session, *, token: int, lease: float, start: int, end: int, text: str) -> None:
    """Append lines of the trainer's own output.

    Args:
        start, end: which bytes of the attempt's log these are. What is recorded already changes nothing.
        text: without NUL, which PostgreSQL cannot hold.
    """
    job = hold(session, token=token, lease=lease)
    counted = session.execute(
        update(Attempt)
        .where(Attempt.token == token, Attempt.recorded_log_bytes == start)
        .values(recorded_log_bytes=end)
        .returning(Attempt.token)
    ).scalar()
    if counted is not None:
        job.log_seq += 1
        session.add(LogChunk(job_id=job.id, seq=job.log_seq, token=token, text=text))


def record(
    session: Session,
    *,
    token: int,
    lease: float,
    start: int,
    events: Sequence[MessageEvent | ResolvedEvent | MetricsEvent],
) -> None:
    """Append a batch of the trainer's events; metrics of a step that an earlier attempt also did are replaced.

    Args:
        start: how many events this attempt has recorded before. A batch that is recorded already (its commit was
            not heard of) changes nothing.
    """
    job = hold(session, token=token, lease=lease)
    counted = session.execute(
        update(Attempt)
        .where(Attempt.token == token, Attempt.recorded_events == start)
        .values(recorded_events=start + len(events))
        .returning(Attempt.token)
    ).scalar()
    if counted is None:
        return
    measured: dict[int, dict[str, Any]] = {}
    for event in events:
        match event:
            case MessageEvent():
                append_event(session, job, message=event.message, level=event.level, data=event.data)
            case ResolvedEvent():
                job.resolved = event.hyperparameters
                job.total_steps = event.total_steps
            case MetricsEvent():
                measured[event.step] = _follow(session, job, event)
    if measured and job.interrupted_at is not None:
        silent = transaction_time(session) - job.interrupted_at
        tallies.time(session, "recovery_seconds", seconds=silent.total_seconds())
        job.interrupted_at = None
    if measured:  # in one statement: small models make dozens of steps a second
        values = [{"job_id": job.id, "step": step, "token": token, "data": data} for step, data in measured.items()]
        statement = insert(Metric).values(values)
        newer = {"token": statement.excluded.token, "data": statement.excluded.data}
        session.execute(statement.on_conflict_do_update(index_elements=["job_id", "step"], set_=newer))


def _follow(session: Session, job: Job, event: MetricsEvent) -> dict[str, Any]:
    """Note where the job is now; answers the step's figures."""
    job.step, job.total_steps, job.trained_tokens = event.step, event.total_steps, event.trained_tokens
    if event.seconds_left is not None:
        job.estimated_finish = func.now() + timedelta(seconds=event.seconds_left)
    data = {"step": event.step, "total_steps": event.total_steps, **event.data}
    told = {**data, "seconds_left": event.seconds_left}
    append_event(session, job, message=event.message, type="metrics", data=told)
    return data


def publish_checkpoint(session: Session, *, token: int, lease: float, event: CheckpointEvent, folder: Folder) -> None:
    """Make a stored checkpoint visible, as the place to resume from and as a model that jobs may start from.

    A step that is published already (its attempt was lost right after) stays as it is: the two are the same.
    """
    job = hold(session, token=token, lease=lease)
    values = {
        "id": new_id("ftckpt_"),
        "job_id": job.id,
        "token": token,
        "step": event.step,
        "created_at": func.now(),
        "prefix": folder.prefix,
        "manifest": [asdict(entry) for entry in folder.entries],
        "metrics": {"step": event.step, **event.metrics},
        "trained_tokens": event.trained_tokens,
    }
    inserted = session.execute(
        insert(Checkpoint)
        .values(**values)
        .on_conflict_do_nothing(index_elements=["job_id", "step"])
        .returning(Checkpoint.id)
    ).scalar()
    if inserted is None:
        return
    job.output_bytes += folder.bytes
    name = _add_model(session, job, folder=folder, step=event.step)
    append_event(session, job, message=f"Checkpoint created at step {event.step}: {name}")
    keep = JobSpec.model_validate(job.spec).method.options.keep_checkpoints
    if keep is not None:
        repository.forget_checkpoints(session, job_id=job.id, keep=keep)


def succeed(
    session: Session, *, token: int, lease: float, result: RunResult, folder: Folder, results_name: str
) -> None:
    """Publish what the job yielded, all of it in this transaction, and end the job."""
    job = hold(session, token=token, lease=lease)
    for entry in folder.entries:
        session.add(
            Artifact(
                id=new_id("ftartifact-"),
                job_id=job.id,
                created_at=func.now(),
                name=entry.name,
                bytes=entry.bytes,
                sha256=entry.sha256,
                object_key=f"{folder.prefix}{entry.name}",
            )
        )
    results = next((entry for entry in folder.entries if entry.name == results_name), None)
    if results is not None:
        job.result_file_id = _add_result_file(session, job, folder=folder, entry=results)
    job.fine_tuned_model = _add_model(session, job, folder=folder, step=None)
    job.trained_tokens = result.trained_tokens
    job.output_bytes += folder.bytes
    append_event(session, job, message=f"New fine-tuned model created: {job.fine_tuned_model}")
    end_attempt(session, token=token, outcome="succeeded")
    transition(session, job, SUCCEEDED, reason=None, message="The job has successfully completed")


def _add_model(session: Session, job: Job, *, folder: Folder, step: int | None) -> str:
    name = model_name(
        base=job.base_model,
        organization=organization_of_project(session, job.project_id).name,
        suffix=job.spec["suffix"],
        job_id=job.id,
        step=step,
    )
    options = JobSpec.model_validate(job.spec).method.options
    base = full_base(session, parent_model_id=job.parent_model_id) if options.weights == "adapter" else None
    stored = {"prefix": folder.prefix, "manifest": [asdict(entry) for entry in folder.entries]}
    statement = insert(Model).values(
        id=new_id("ftmodel-"),
        project_id=job.project_id,
        name=name,
        job_id=job.id,
        base_model=job.base_model,
        parent_model_id=job.parent_model_id,
        checkpoint_step=step,
        kind=options.YIELDS,
        weights=options.weights,
        full_base_id=base.id if base else None,
        **stored,
    )
    # A checkpoint whose objects were lost (`core.objects.doctor`) has left its name, and its step is reached again.
    session.execute(statement.on_conflict_do_update(index_elements=["name"], set_={**stored, "deleted_at": None}))
    return name


def _add_result_file(session: Session, job: Job, *, folder: Folder, entry: Entry) -> str:
    file = File(
        id=new_id("file-"),
        project_id=job.project_id,
        filename="step_metrics.csv",
        purpose="fine-tune-results",
        bytes=entry.bytes,
        sha256=entry.sha256,
        object_key=f"{folder.prefix}{entry.name}",
        status="processed",
    )
    session.add(file)
    session.flush()
    return file.id


def stopped(session: Session, *, token: int, lease: float) -> None:
    """The trainer stopped at a checkpoint: paused where that was asked for, else (its worker leaves) queued again."""
    job = hold(session, token=token, lease=lease)
    if job.status == PAUSING:
        end_attempt(session, token=token, outcome="paused")
        transition(session, job, PAUSED, reason="paused on request", message="The job is paused")
    else:
        end_attempt(session, token=token, outcome="drained")
        interrupt(job, since=Now())
        message = "The worker is shutting down; queued again to go on from the last checkpoint"
        transition(session, job, QUEUED, reason="its worker was shut down", message=message)
        after_commit(session, lambda: ring("train"))


def fail(session: Session, *, token: int, limits: Limits, error: RunError) -> None:
    """The trainer failed: end the job, or, where another attempt may do better, count the fault and queue it again."""
    job = hold(session, token=token, lease=limits.lease)
    end_attempt(session, token=token, outcome="fault" if error.retryable else "failed", detail=error.message)
    tallies.count(session, "attempt_errors", label=error.code)
    job.faults += error.retryable
    if error.retryable and job.faults < limits.max_faults and job.status != PAUSING:
        message = f"{error.message} (attempt {job.faults} of {limits.max_faults}; queued again)"
        interrupt(job, since=Now())
        transition(session, job, QUEUED, reason=error.message, message=message, level="warn")
        after_commit(session, lambda: ring("train"))
    elif error.retryable and job.faults < limits.max_faults:
        transition(session, job, PAUSED, reason="paused on request", message=error.message, level="warn")
    else:
        tried = f" ({job.faults} attempts)" if error.retryable else ""
        public = {"code": error.code, "message": error.message + tried, "param": error.param}
        transition(session, job, FAILED, reason=error.message, message=public["message"], level="error", error=public)


def starting_point(session: Session, *, job_id: str) -> Folder | None:
    """Where an attempt of this job begins: its last published checkpoint, if there is one."""
    checkpoint = repository.latest_checkpoint(session, job_id=job_id)
    return checkpoint and Folder(prefix=checkpoint.prefix, entries=Entry.many(checkpoint.manifest))
