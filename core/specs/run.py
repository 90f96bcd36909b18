"""A run directory: the only thing that a supervisor and a trainer share.

spec.json        what to do (RunSpec), written by the supervisor before the trainer starts
events.jsonl     what happens (one RunEvent a line), appended by the trainer, tailed by the supervisor
checkpoints/     step-N/ appears whole, by rename; its CheckpointEvent follows
artifacts/       what the job yields: adapter, tokenizer, result CSV, samples
result.json      RunResult, written last, by rename, when training ended well or was stopped by SIGTERM
error.json       RunError, when it failed
log.txt          the trainer's own standard output and error
"""

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from core.specs.base_model import BaseModelSource
from core.specs.method import Method, training_options
from core.specs.strict import Strict
from core.specs.training import Training


class Scorer(Strict):
    """A reward model. adapter: its folder, where the base has none of its own."""

    base: str
    adapter: str | None = None


class RunSpec(Strict):
    """Everything a trainer needs. Paths are absolute; the trainer reads them and writes only in its run directory."""

    job_id: str
    method: Method
    seed: int = 0
    base_model: str = Field(
        description="Folder of the base model: config, safetensors, tokenizer with its chat template. Of an "
        "initialization: of the tokenizer that is taken; empty where one is learnt."
    )
    base_model_name: str = Field(description="Public id of the base, written to adapter_config.json for plain peft.")
    start_adapter: str | None = Field(default=None, description="Folder of the adapter that goes on training.")
    training_file: str = Field(description="Empty where an initialization learns no tokenizer.")
    validation_file: str | None = None
    replay_file: str | None = None
    reward_models: list[Scorer] = Field(default_factory=list, description="What answers are scored by.")
    asking: str | None = Field(
        default=None, description="A Unix socket at which the supervisor puts questions to models (core.specs.asking)."
    )
    resume_from: str | None = Field(default=None, description="A checkpoint folder of an earlier attempt.")
    devices: list[int] = Field(default_factory=list, description="GPU indices; empty: CPU.")
    max_duration_seconds: float | None = Field(default=None, description="Of training, over all attempts.")
    threads: int | None = Field(
        default=None, ge=1, description="CPU threads for torch; null: all, or one for steps too small to share."
    )

    @property
    def training(self) -> Training:
        """The method's options, of a job that trains."""
        return training_options(self.method)


class PrepareSpec(Strict):
    """Turn a base model source into a folder that `from_pretrained` loads; done once a machine.

    weights: false leaves them out. What remains (tokenizer, chat template, config and Facts) is the model's card.
    """

    source: BaseModelSource
    folder: str
    weights: bool = True


class MessageEvent(Strict):
    type: Literal["message"] = "message"
    level: Literal["info", "warn", "error"] = "info"
    message: str
    data: dict[str, Any] | None = None


class ResolvedEvent(Strict):
    """The values that the trainer chose where the spec says `auto`."""

    type: Literal["resolved"] = "resolved"
    hyperparameters: dict[str, Any]
    total_steps: int


class MetricsEvent(Strict):
    """Figures of one optimiser step, by the contract's names."""

    type: Literal["metrics"] = "metrics"
    step: int
    total_steps: int
    trained_tokens: int = Field(description="Tokens that carried loss since step 0, over all attempts.")
    seconds_left: float | None = None
    message: str
    data: dict[str, float | int | None]


class CheckpointEvent(Strict):
    """`path`, relative to the run directory, is whole on disk."""

    type: Literal["checkpoint"] = "checkpoint"
    step: int
    path: str
    trained_tokens: int
    metrics: dict[str, float | int | None]


RunEvent = Annotated[MessageEvent | ResolvedEvent | MetricsEvent | CheckpointEvent, Field(discriminator="type")]
RUN_EVENT: TypeAdapter[RunEvent] = TypeAdapter(RunEvent)


class RunResult(Strict):
    """succeeded: artifacts/ is whole. stopped: SIGTERM came, and the last checkpoint is the place to go on from."""

    outcome: Literal["succeeded", "stopped"]
    step: int
    trained_tokens: int
    metrics: dict[str, float | int | None] = Field(default_factory=dict)


class RunError(Strict):
    """Why the run failed. `retryable` is true where another attempt may do better (out of memory, a full disk)."""

    code: str
    message: str
    param: str | None = None
    retryable: bool = False
