import copy
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel
from sqlalchemy.orm import Session

from api.schemas.page import unix, unix_or_none
from core.access.repository import key_names, organization_ids
from core.exports import claims as exports
from core.jobs.contract_events import with_contract_keys
from core.models import Artifact, Attempt, Checkpoint, Event, Export, Job, LogChunk
from core.registry.repository import jobs_of
from core.registry.service import model_name
from core.settings import Settings
from core.usage.cost import costs


class JobError(BaseModel):
    code: str
    message: str
    param: str | None = None


class JobCost(BaseModel):
    amount: float
    currency: str


class JobUsage(BaseModel):
    """What the job has used so far, over all attempts. GPU-seconds: GPUs held, times seconds.

    cost: at this deployment's prices of today; null where it has none for what the job used.
    """

    cpu_seconds: float
    gpu_seconds: float
    trained_tokens: int
    input_bytes: int
    output_bytes: int
    cost: JobCost | None


class CreatedBy(BaseModel):
    """The API key that a job was created with, by which it can be told from others; never the key itself."""

    id: str
    name: str


class JobObject(BaseModel):
    id: str
    object: Literal["fine_tuning.job"] = "fine_tuning.job"
    created_at: int
    finished_at: int | None
    estimated_finish: int | None
    model: str
    fine_tuned_model: str | None
    organization_id: str
    status: str
    training_file: str | None
    validation_file: str | None
    result_files: list[str]
    trained_tokens: int | None
    hyperparameters: dict[str, Any]
    method: dict[str, Any]
    seed: int
    integrations: list[dict[str, Any]] = []
    metadata: dict[str, str] | None
    error: JobError | None
    # Ours. `status` says where the job is, `status_reason` why; `base_model` is what an alias or `ft:` name stands for.
    status_reason: str | None
    base_model: str
    suffix: str | None
    resources: dict[str, Any]
    max_duration_seconds: int | None
    started_at: int | None
    step: int | None
    total_steps: int | None
    seconds_left: int | None
    # Only where one queued job is retrieved; 1 is next.
    queue_position: int | None = None
    project_id: str
    # The job that made the model that this one goes on from; null where that is a base model, or there is none.
    parent_job_id: str | None
    created_by: CreatedBy | None
    usage: JobUsage

    @classmethod
    def of(cls, session: Session, job: Job, settings: Settings) -> "JobObject":
        return cls.many(session, [job], settings)[0]

    @classmethod
    def many(cls, session: Session, jobs: Sequence[Job], settings: Settings) -> list["JobObject"]:
        """Those of a page; of all their projects and keys one query, and one each of parents, integrations and costs
        where there are any."""
        if not jobs:
            return []
        organizations = organization_ids(session, project_ids={job.project_id for job in jobs})
        told = exports.of_jobs(session, job_ids=[job.id for job in jobs if job.spec.get("integrations")])
        parents = jobs_of(session, ids={job.parent_model_id for job in jobs if job.parent_model_id})
        keys = key_names(session, ids={job.api_key_id for job in jobs if job.api_key_id})
        amounts = costs(session, settings, jobs=jobs)
        return [
            cls._of(
                job,
                organization_id=organizations[job.project_id],
                parent_job_id=parents.get(job.parent_model_id or ""),
                told=told.get(job.id, []),
                created_by=CreatedBy(id=job.api_key_id, name=keys[job.api_key_id]) if job.api_key_id else None,
                cost=_cost(amounts.get(job.id), settings),
            )
            for job in jobs
        ]

    @classmethod
    def _of(
        cls,
        job: Job,
        *,
        organization_id: str,
        parent_job_id: str | None,
        told: list[Export],
        created_by: CreatedBy | None,
        cost: JobCost | None,
    ) -> "JobObject":
        method = _method_as_run(job)
        return cls(
            id=job.id,
            created_at=unix(job.created_at),
            finished_at=unix_or_none(job.finished_at),
            estimated_finish=unix_or_none(job.estimated_finish),
            model=job.model,
            fine_tuned_model=job.fine_tuned_model,
            organization_id=organization_id,
            status=job.status,
            training_file=job.training_file_id,
            validation_file=job.validation_file_id,
            result_files=[job.result_file_id] if job.result_file_id else [],
            trained_tokens=job.trained_tokens,
            hyperparameters=method[method["type"]].get("hyperparameters", job.resolved or {}),
            method=method,
            seed=job.seed,
            integrations=[_integration(export) for export in told],
            metadata=job.spec["metadata"],
            error=JobError.model_validate(job.error) if job.error else None,
            status_reason=job.status_reason,
            base_model=job.base_model,
            suffix=job.spec["suffix"],
            resources=job.spec["resources"],
            max_duration_seconds=job.spec["max_duration_seconds"],
            started_at=unix_or_none(job.started_at),
            step=job.step,
            total_steps=job.total_steps,
            seconds_left=_seconds_left(job),
            project_id=job.project_id,
            parent_job_id=parent_job_id,
            created_by=created_by,
            usage=JobUsage(
                cpu_seconds=round(job.cpu_seconds, 3),
                gpu_seconds=round(job.gpu_seconds, 3),
                trained_tokens=job.trained_tokens or 0,
                input_bytes=job.input_bytes,
                output_bytes=job.output_bytes,
                cost=cost,
            ),
        )


def _cost(amount: float | None, settings: Settings) -> JobCost | None:
    return None if amount is None else JobCost(amount=round(amount, 6), currency=settings.cost_currency)


def _integration(export: Export) -> dict[str, Any]:
    """As it was asked for and, ours, how far it got."""
    return {**export.integration, "status": export.status, "url": export.url, "reason": export.reason}


def _seconds_left(job: Job) -> int | None:
    if job.estimated_finish is None:
        return None
    return max(0, int((job.estimated_finish - datetime.now(UTC)).total_seconds()))


def _method_as_run(job: Job) -> dict[str, Any]:
    """The method as asked for, with what the trainer chose in the place of `auto`."""
    method = copy.deepcopy(job.spec["method"])
    options = method[method["type"]]
    resolved = dict(job.resolved or {})
    if options.get("max_steps"):
        resolved.pop("n_epochs", None)  # a spec has one of them
    if "hyperparameters" in options:  # an initialization has none
        options["hyperparameters"].update(resolved)
    return method


class EventObject(BaseModel):
    id: str
    object: Literal["fine_tuning.job.event"] = "fine_tuning.job.event"
    created_at: int
    level: str
    message: str
    data: dict[str, Any] | None
    type: str
    # Ours: the event's number in its job, from 1, without gaps.
    seq: int

    @classmethod
    def of(cls, event: Event) -> "EventObject":
        return cls(
            id=event.id,
            created_at=unix(event.created_at),
            level=event.level,
            message=event.message,
            data=with_contract_keys(event.data) if event.data else event.data,
            type=event.type,
            seq=event.seq,
        )


class AttemptObject(BaseModel):
    """A worker's try at a job; its id is the `attempt` of the log's lines, `number` counts those of the job from 1.

    outcome: succeeded, failed, cancelled, paused, drained (its worker was told to stop), fault (it is tried again) or
    lost (its worker fell silent); null while it runs. detail: what went wrong. gpus: how many it holds.
    """

    id: str
    object: Literal["fine_tuning.job.attempt"] = "fine_tuning.job.attempt"
    number: int
    worker: str
    started_at: int
    ended_at: int | None
    outcome: str | None
    detail: str | None
    gpus: int
    cpu_seconds: float
    gpu_seconds: float

    @classmethod
    def of(cls, number: int, attempt: Attempt) -> "AttemptObject":
        return cls(
            id=str(attempt.token),
            number=number,
            worker=attempt.worker_id,
            started_at=unix(attempt.started_at),
            ended_at=unix_or_none(attempt.ended_at),
            outcome=attempt.outcome,
            detail=attempt.detail,
            gpus=attempt.gpus,
            cpu_seconds=round(attempt.cpu_seconds, 3),
            gpu_seconds=round(attempt.gpu_seconds, 3),
        )


class LogObject(BaseModel):
    """Some lines of the trainer's own output; `attempt` tells the tries at a job apart."""

    id: str
    object: Literal["fine_tuning.job.log"] = "fine_tuning.job.log"
    seq: int
    attempt: int
    created_at: int
    text: str

    @classmethod
    def of(cls, chunk: LogChunk) -> "LogObject":
        return cls(
            id=str(chunk.seq), seq=chunk.seq, attempt=chunk.token, created_at=unix(chunk.created_at), text=chunk.text
        )


class Series(BaseModel):
    """One figure over the steps at which it was measured: two lists of the same length."""

    steps: list[int]
    values: list[float]


class MetricsObject(BaseModel):
    object: Literal["fine_tuning.job.metrics"] = "fine_tuning.job.metrics"
    job_id: str
    series: dict[str, Series]


class CheckpointObject(BaseModel):
    id: str
    object: Literal["fine_tuning.job.checkpoint"] = "fine_tuning.job.checkpoint"
    created_at: int
    fine_tuned_model_checkpoint: str
    fine_tuning_job_id: str
    step_number: int
    metrics: dict[str, Any]

    @classmethod
    def of(cls, checkpoint: Checkpoint, *, job: Job, organization: str) -> "CheckpointObject":
        name = model_name(
            base=job.base_model,
            organization=organization,
            suffix=job.spec["suffix"],
            job_id=job.id,
            step=checkpoint.step,
        )
        return cls(
            id=checkpoint.id,
            created_at=unix(checkpoint.created_at),
            fine_tuned_model_checkpoint=name,
            fine_tuning_job_id=job.id,
            step_number=checkpoint.step,
            metrics=checkpoint.metrics,
        )


class ArtifactObject(BaseModel):
    """One file that a job yielded; `url` downloads it without a key until `url_expires_at`."""

    id: str
    object: Literal["fine_tuning.job.artifact"] = "fine_tuning.job.artifact"
    created_at: int
    name: str
    bytes: int
    sha256: str
    url: str
    url_expires_at: int

    @classmethod
    def of(cls, artifact: Artifact, *, url: str, url_expires_at: int) -> "ArtifactObject":
        return cls(
            id=artifact.id,
            created_at=unix(artifact.created_at),
            name=artifact.name,
            bytes=artifact.bytes,
            sha256=artifact.sha256,
            url=url,
            url_expires_at=url_expires_at,
        )
