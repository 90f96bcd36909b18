"""What the API answers with. Fields that a newer server adds are kept as extra attributes.

Times are whole seconds since 1970, UTC; sizes are bytes; digests are SHA-256, in hexadecimal.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict

SUCCEEDED = "succeeded"
TERMINAL = frozenset({SUCCEEDED, "failed", "cancelled"})


class Answer(BaseModel):
    """The base of all of them."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())


class Deleted(Answer):
    id: str
    deleted: bool


class File(Answer):
    """An uploaded file. `status`: uploaded (not yet validated), processed (usable) or error (see `status_details`)."""

    id: str
    bytes: int
    created_at: int
    filename: str
    purpose: str
    status: str
    status_details: str | None = None
    expires_at: int | None = None
    rows: int | None = None
    sha256: str | None = None


class JobError(Answer):
    code: str | None = None
    message: str
    param: str | None = None


class Job(Answer):
    """A fine-tuning job. `status` says where it is, `status_reason` why; `step` counts optimiser steps."""

    id: str
    created_at: int
    model: str
    status: str
    training_file: str
    finished_at: int | None = None
    estimated_finish: int | None = None
    fine_tuned_model: str | None = None
    organization_id: str | None = None
    validation_file: str | None = None
    result_files: list[str] = []
    trained_tokens: int | None = None
    hyperparameters: dict[str, Any] | None = None
    method: dict[str, Any] | None = None
    seed: int | None = None
    metadata: dict[str, str] | None = None
    error: JobError | None = None
    status_reason: str | None = None
    base_model: str | None = None
    suffix: str | None = None
    resources: dict[str, Any] | None = None
    started_at: int | None = None
    step: int | None = None
    total_steps: int | None = None

    @property
    def ended(self) -> bool:
        """It has succeeded, failed or been cancelled, and will not change any more."""
        return self.status in TERMINAL


class Event(Answer):
    """Something that happened to a job. `type` is message or metrics; `seq` numbers a job's events from 1."""

    id: str
    created_at: int
    level: str
    message: str
    type: str = "message"
    data: dict[str, Any] | None = None
    seq: int = 0


class Checkpoint(Answer):
    """A model as it was after `step_number` steps; jobs may start from it by its name."""

    id: str
    created_at: int
    fine_tuned_model_checkpoint: str
    fine_tuning_job_id: str
    step_number: int
    metrics: dict[str, Any] = {}


class Artifact(Answer):
    """A file that a job yielded; `url` downloads it, without a key, until `url_expires_at`."""

    id: str
    created_at: int
    name: str
    bytes: int
    sha256: str
    url: str
    url_expires_at: int


class Model(Answer):
    """A base model of the catalogue, or what a job made (then with `base_model` and `job_id`)."""

    id: str
    created: int
    owned_by: str
    base_model: str | None = None
    job_id: str | None = None
    aliases: list[str] = []
