"""What the API answers with. Fields that a newer server adds are kept as extra attributes.

Times are whole seconds since 1970, UTC; sizes are bytes; digests are SHA-256, in hexadecimal.
"""

from typing import Any

from pydantic import Field

from tunesmith.base import Answer as Answer
from tunesmith.deployment import Failure as Failure
from tunesmith.deployment import Key as Key
from tunesmith.deployment import KeyProject as KeyProject
from tunesmith.deployment import Overview as Overview
from tunesmith.deployment import OwnQueue as OwnQueue
from tunesmith.deployment import Project as Project
from tunesmith.deployment import ProjectUsage as ProjectUsage
from tunesmith.deployment import Queue as Queue
from tunesmith.deployment import RunningAttempt as RunningAttempt
from tunesmith.deployment import Worker as Worker

SUCCEEDED = "succeeded"
TERMINAL = frozenset({SUCCEEDED, "failed", "cancelled"})


class Deleted(Answer):
    """What was deleted."""

    id: str
    deleted: bool


class File(Answer):
    """An uploaded file. `status`: uploaded (not yet validated), processed (usable) or error (see `status_details`).

    kind: of its rows, such as `messages`; None where it is not training data, or not validated.
    """

    id: str
    bytes: int
    created_at: int
    filename: str
    purpose: str
    status: str
    status_details: str | None = None
    expires_at: int | None = None
    rows: int | None = None
    kind: str | None = None
    sha256: str | None = None
    project_id: str | None = None


class JobError(Answer):
    """Why a job failed; `code` is for programs, `param` the path of the field at fault, where there is one."""

    code: str | None = None
    message: str
    param: str | None = None


class UsageTotals(Answer):
    """What a job has used so far. Seconds are those that its processes held a device or a core."""

    cpu_seconds: float = 0
    gpu_seconds: float = 0
    trained_tokens: int = 0
    input_bytes: int = 0
    output_bytes: int = 0


class JobCost(Answer):
    """By the prices that the deployment has set."""

    amount: float
    currency: str


class JobUsage(UsageTotals):
    """What a job has used so far. cost: None where the deployment has no price for it."""

    cost: JobCost | None = None


class CreatedBy(Answer):
    """The API key that a job was created with."""

    id: str
    name: str


class Job(Answer):
    """A fine-tuning job. `status` says where it is, `status_reason` why; `step` counts optimiser steps.

    `queue_position` is told by `retrieve` only, while the job is queued: 1 is the next to run. `parent_job_id` is the
    job that made the `model` that this one goes on from; None where that is a base model, or there is none.
    """

    id: str
    created_at: int
    model: str
    status: str
    training_file: str | None
    finished_at: int | None = None
    estimated_finish: int | None = None
    fine_tuned_model: str | None = None
    organization_id: str | None = None
    project_id: str | None = None
    parent_job_id: str | None = None
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
    max_duration_seconds: int | None = None
    started_at: int | None = None
    step: int | None = None
    total_steps: int | None = None
    queue_position: int | None = None
    seconds_left: int | None = None
    created_by: CreatedBy | None = None
    usage: JobUsage | None = None

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


class Attempt(Answer):
    """A worker's try at a job; `id` is the `attempt` of the lines of its log, `number` counts those of the job from 1.

    outcome: succeeded, failed, cancelled, paused, drained (its worker was told to stop), fault (it is tried again) or
    lost (its worker fell silent); None while it runs. detail: what went wrong. gpus: how many it holds.
    """

    id: str
    number: int
    worker: str
    started_at: int
    ended_at: int | None = None
    outcome: str | None = None
    detail: str | None = None
    gpus: int = 0
    cpu_seconds: float = 0
    gpu_seconds: float = 0


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
    """A base model of the catalogue, or what a job made (then with `base_model` and `job_id`).

    parent: the model that its job went on from, where another job had made that; it may be deleted by now.
    checkpoint_step: of a checkpoint. kind: `policy`, which writes answers, or `reward_model`, which scores them.
    weights: `adapter`, or `full`.
    """

    id: str
    created: int
    owned_by: str
    base_model: str | None = None
    kind: str = "policy"
    weights: str = "full"
    job_id: str | None = None
    project_id: str | None = None
    parent: str | None = None
    checkpoint_step: int | None = None
    aliases: list[str] = []


class Upload(Answer):
    """A large file on its way, in parts. `status`: pending, completed (then with `file`), cancelled or expired."""

    id: str
    bytes: int
    created_at: int
    expires_at: int
    filename: str
    purpose: str
    status: str
    file: File | None = None


class UploadPart(Answer):
    """A piece that has arrived."""

    id: str
    created_at: int
    upload_id: str


class Fault(Answer):
    """What is wrong with one row; `line` counts from 1, `field` is a path such as `messages[1].role`."""

    line: int
    field: str
    message: str


class FileReport(Answer):
    """What the validation found: faults, lengths in characters, duplicates, personal data, overlap.

    keys: of prompts, those that templates of graders may name. characters: quantiles, `mean`, `total` and a
    `histogram`: how many `rows` are from `min` to `max` long, bar by bar.
    """

    file_id: str
    status: str
    rows: int | None = None
    bytes: int | None = None
    sha256: str | None = None
    format: str | None = None
    kind: str | None = None
    keys: list[str] | None = None
    faults: list[Fault] = []
    fault_count: int | None = None
    characters: dict[str, Any] | None = None
    duplicates: dict[str, Any] | None = None
    empty_answers: int | None = None
    refused_answers: int | None = None
    personal_data: dict[str, Any] | None = None
    overlap: dict[str, Any] | None = None


class PreviewToken(Answer):
    """`state`: trained (the loss is taken on it), masked (it is only read) or truncated (it is cut off)."""

    id: int
    text: str
    state: str


class PreviewRow(Answer):
    """A row as the model's template renders it, token by token; of a preference or a ranking one `side` of it."""

    row: int
    side: str | None = None
    text: str
    tokens: list[PreviewToken]
    trained_tokens: int
    total_tokens: int


class Pitfall(Answer):
    """A pitfall that the estimate sees; `param` names what in the spec to change."""

    code: str
    message: str
    param: str | None = None


class Estimate(Answer):
    """What a job would take. Figures that this deployment has not measured yet are null.

    max_completion_tokens: what each answer is counted at, of a method that samples them.
    """

    tokens: dict[str, Any]
    rows: dict[str, Any]
    validation_rows: dict[str, Any] | None = None
    steps: int | None = None
    epochs: float | None = None
    max_completion_tokens: int | None = None
    memory: dict[str, Any] | None = None
    time: dict[str, Any] | None = None
    cost: dict[str, Any] | None = None
    compute: dict[str, Any] | None = None
    warnings: list[Pitfall] = []


class Series(Answer):
    """One figure over the run: `values[i]` was measured at optimiser step `steps[i]`."""

    steps: list[int]
    values: list[float | None]


class MetricSeries(Answer):
    """A job's figures by their names, such as `train_loss`."""

    job_id: str
    series: dict[str, Series]


class Rollout(Answer):
    """An answer that a job has learnt from; `rewards` has what its `reward` is made of, `error` why there is none.

    row: which row of the training file was asked, from 0. advantage: by how much it was better than expected.
    """

    id: str
    step: int
    row: int
    prompt: list[dict[str, Any]]
    completion: str
    completion_tokens: int
    truncated: bool
    reward: float
    rewards: dict[str, float] = {}
    advantage: float = 0.0
    error: str | None = None


class ScoredResponse(Answer):
    """A response that a reward model has scored; rank: 1 is the best."""

    text: str
    rank: int
    before: float
    after: float


class Sample(Answer):
    """What a model made of a row before and after training.

    prompt: messages, or a text that goes on. expected, before: empty of a model that was made of nothing. responses: of
    a reward model, which writes nothing, the best first.
    """

    id: str = ""
    row: int
    prompt: str | list[dict[str, Any]]
    expected: str = ""
    before: str = ""
    after: str = ""
    responses: list[ScoredResponse] = []


class LogLine(Answer):
    """A piece of a trainer's own output; `attempt` tells one run of the job from the next."""

    id: str
    seq: int
    attempt: int | str
    created_at: int
    text: str


class CheckedGrader(Answer):
    """A grader as the server understood it, with its defaults."""

    grader: dict[str, Any]


class GraderMetadata(Answer):
    """How a reward came about. `execution_time` in seconds; `errors` are flags, and their `details` words."""

    name: str
    type: str
    errors: dict[str, Any]
    execution_time: float
    scores: dict[str, float] = {}
    token_usage: int | None = None
    sampled_model_name: str | None = None


class GraderResult(Answer):
    """What an answer is worth; `sub_rewards` are those of the grader's parts, before they are weighted."""

    reward: float
    sub_rewards: dict[str, float] = {}
    metadata: GraderMetadata
    model_grader_token_usage_per_model: dict[str, Any] = {}


class Permission(Answer):
    """A project that may use a checkpoint of another one."""

    id: str
    created_at: int
    project_id: str


class WebhookEndpoint(Answer):
    """A URL that is told when jobs end. `status`: enabled, or disabled by a receiver that answered 410.

    `signing_secret` is in the answers to `create` and `rotate_secret` only.
    """

    id: str
    created_at: int
    updated_at: int | None = None
    name: str
    url: str
    event_types: list[str]
    status: str | None = None
    signing_secret_hint: str | None = None
    signing_secret: str | None = Field(default=None, repr=False)


class WebhookTestResult(Answer):
    """What a receiver answered to a sample event."""

    webhook_endpoint_id: str
    event_type: str
    status_code: int
    success: bool


class WebhookDelivery(Answer):
    """An event on its way to an endpoint; `id` is the event's. `status`: pending, delivered or failed (given up).

    The last try ended with `status_code`, or, where the receiver was not reached, for `reason`.
    """

    id: str
    created_at: int
    event_type: str
    job_id: str
    status: str
    tries: int
    status_code: int | None = None
    reason: str | None = None
    next_try_at: int | None = None
    ended_at: int | None = None


class UsageRow(UsageTotals):
    """A sum over jobs; what is not grouped by is null. `day` is YYYY-MM-DD, UTC."""

    project_id: str | None = None
    api_key_id: str | None = None
    model: str | None = None
    day: str | None = None
    jobs: int = 0
