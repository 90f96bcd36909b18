# pyright: standard, reportMissingImports=false
# Copied from core/specs/training.py by sdk/tools/copy_core.py: change it there.
"""What every method that trains has in common."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from tunesmith.specs.lora import Lora
from tunesmith.specs.optimization import Optimization
from tunesmith.specs.strict import Auto, Strict, WrongKey

Weights = Literal["adapter", "full"]
ValidationMetric = Literal[
    "valid_loss", "valid_mean_token_accuracy", "valid_reward_accuracy", "valid_accuracy", "valid_reward_mean"
]
# policy: writes answers. reward_model: scores them.
ModelKind = Literal["policy", "reward_model"]
LongRows = Literal["truncate", "drop", "error"]


# What each method's `VALIDATION_METRICS` are, for those who read the schema.
MEASURED = (
    "ppo and reinforcement have valid_reward_mean; each other method valid_loss, supervised and pretraining "
    "valid_mean_token_accuracy too, dpo and kto valid_reward_accuracy, reward_model valid_accuracy. Another is refused."
)


class Hyperparameters(Strict):
    """The contract's three knobs; `auto` leaves the choice to the trainer, which reports what it chose."""

    n_epochs: Auto | Annotated[int, Field(ge=1, le=50)] = Field(
        default="auto",
        description="Passes over the training rows. auto, by thresholds of ours: 3 up to 10,000 rows, 2 up to 50,000, "
        "else 1; dpo, kto, reward_model, ppo and reinforcement: 3 up to 1,000, else 1; pretraining: 1.",
    )
    batch_size: Auto | Annotated[int, Field(ge=1, le=256)] = Field(
        default="auto", description="Rows per optimiser step; the last one of a pass may hold fewer. auto: 8."
    )
    learning_rate_multiplier: Auto | Annotated[float, Field(gt=0, le=100)] = Field(
        default="auto", description="Factor on the learning rate. auto: 1."
    )


class ScoredSamples(Strict):
    """What a model makes of validation rows before and after training, kept as the artifact samples.jsonl."""

    rows: Auto | Annotated[int, Field(ge=0, le=1000)] = Field(
        default="auto",
        description="How many validation rows, from the first; auto: at most 16, and none where nothing is validated "
        "on. 0: none.",
    )


class Samples(ScoredSamples):
    """Greedy completions of validation rows before and after training, kept as the artifact samples.jsonl."""

    max_tokens: int = Field(default=128, ge=1, le=4096, description="Longest completion, in tokens.")


class Replay(Strict):
    """Rows of earlier training among the new ones, against forgetting (Robins, 1995)."""

    file: str = Field(min_length=1, max_length=64, description="Id of an uploaded file.")
    fraction: float = Field(
        gt=0,
        le=0.9,
        description="Share of its rows among all that are trained; the seed draws them, each one once at most.",
    )


class EarlyStopping(Strict):
    """Stop when validation no longer gets better (Prechelt, 1998)."""

    metric: Auto | ValidationMetric = Field(
        default="auto",
        description="What has to get better. auto: valid_reward_mean for ppo and reinforcement, else valid_loss. "
        f"{MEASURED}",
    )
    patience: int = Field(default=3, ge=1, le=1000, description="Validations in a row without a better one.")
    min_delta: float = Field(default=0.0, ge=0, description="By how much a validation has to be better to count.")


class Training(Strict):
    """Rows, weights, steps, validations and what is kept."""

    YIELDS: ClassVar[ModelKind] = "policy"
    STARTS_FROM: ClassVar[tuple[ModelKind, ...]] = ("policy",)
    VALIDATION_METRICS: ClassVar[tuple[ValidationMetric, ...]] = ("valid_loss", "valid_mean_token_accuracy")
    # What auto stands for: (rows up to which, passes over them), beyond the last one pass; and the learning rate as a
    # share of the one that its description tells.
    AUTO_EPOCHS: ClassVar[tuple[tuple[int, int], ...]] = ((10_000, 3), (50_000, 2))
    AUTO_LEARNING_RATE_SHARE: ClassVar[float] = 1.0
    MOST_AUTO_LENGTH: ClassVar[int] = 4096  # tokens

    hyperparameters: Hyperparameters = Field(default_factory=Hyperparameters)
    max_length: Auto | Annotated[int, Field(ge=32, le=131072)] = Field(
        default="auto", description="Longest row, in tokens. auto: the model's context, at most 4096."
    )
    long_rows: LongRows = Field(
        default="truncate",
        description="What happens to longer rows, which are counted and warned of: cut off behind max_length, dropped, "
        "or an error. A row that has nothing to learn in front of the cut is dropped.",
    )
    replay: Replay | None = Field(default=None, description="Null: the rows of the training_file alone.")
    samples: Samples = Field(default_factory=Samples)
    weights: Weights = Field(
        default="adapter",
        description="What is trained, and what the job yields. adapter: a LoRA adapter. full: all weights, as a model "
        "that other jobs take as their base; an adapter that the job starts from is merged into its base first.",
    )
    quantization: Literal["4bit"] | None = Field(
        default=None,
        description="4bit: the base under an adapter takes half a byte a weight (NF4 with quantised constants; QLoRA, "
        "Dettmers et al., 2023, arXiv 2305.14314). Needs a GPU and bitsandbytes.",
    )
    lora: Lora | None = Field(
        default=None,
        description="Of the adapter. Null: the defaults, or the shape of the adapter that the job starts from.",
    )
    optimization: Optimization = Field(default_factory=Optimization)
    max_steps: int | None = Field(
        default=None,
        ge=1,
        le=10_000_000,
        description="Optimiser steps, however many passes they make; in place of n_epochs.",
    )
    validation_split: float | None = Field(
        default=None,
        gt=0,
        le=0.5,
        description="Share of the training rows to hold out, drawn by the seed, where there is no validation_file.",
    )
    checkpoint_interval: Auto | Annotated[int, Field(ge=1)] = Field(
        default="auto",
        description="Optimiser steps between checkpoints; auto: a tenth of the run, at least 10. "
        "The last step has one, too.",
    )
    eval_interval: Auto | Annotated[int, Field(ge=1)] = Field(
        default="auto",
        description="Optimiser steps between validations; auto: as checkpoint_interval says, and where that is auto "
        "too, a tenth of the run. The last step has one, too.",
    )
    early_stopping: EarlyStopping | None = Field(default=None, description="Null: the run goes to its end.")
    keep_best: ValidationMetric | None = Field(
        default=None,
        description="The job yields the weights of the validation that was best by this; null: the last ones. "
        f"{MEASURED}",
    )
    keep_checkpoints: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="Only so many of the latest checkpoints are kept, and those that others may use; null: all.",
    )
    merged_weights: bool = Field(
        default=False, description="Also yield the base model with the adapter merged into it, as the artifact merged/."
    )
    tensorboard: bool = Field(
        default=False,
        description="Also yield the figures of all steps as TensorBoard reads them, as the artifact tensorboard/.",
    )

    @model_validator(mode="after")
    def full_has_no_adapter(self) -> "Training":
        if self.weights == "full" and self.lora is not None:
            raise WrongKey("lora", "weights 'full' trains no adapter: leave lora out")
        if self.weights == "full" and self.merged_weights:
            raise WrongKey("merged_weights", "weights 'full' yields whole weights as it is: leave merged_weights out")
        if self.quantization and self.weights == "full":
            raise WrongKey("quantization", "weights 'full' can't be trained in 4 bits: leave quantization out")
        if self.quantization and self.merged_weights:
            words = "merged_weights would merge into a base of 4 bits: leave it or quantization out"
            raise WrongKey("merged_weights", words)
        return self

    @model_validator(mode="after")
    def one_length_of_run(self) -> "Training":
        if self.max_steps is not None and self.hyperparameters.n_epochs != "auto":
            raise WrongKey("max_steps", "give max_steps or hyperparameters.n_epochs, not both")
        return self

    @model_validator(mode="after")
    def metric_of_the_method(self) -> "Training":
        stops_by = self.early_stopping and self.early_stopping.metric
        for key, metric in (("keep_best", self.keep_best), ("early_stopping.metric", stops_by)):
            if metric not in (None, "auto", *self.VALIDATION_METRICS):
                allowed = ", ".join(self.VALIDATION_METRICS)
                raise WrongKey(key, f"{metric!r} is not measured by this method; allowed here: {allowed}")
        return self

    @model_validator(mode="after")
    def warms_up_within_the_run(self) -> "Training":
        warmup, steps = self.optimization.warmup, self.max_steps
        if steps is not None and warmup > steps:  # below 1 it is a share
            words = f"{warmup:g} steps were asked for, but the run has {steps} (max_steps)"
            raise WrongKey("optimization.warmup", words)
        return self

    @property
    def stops_by(self) -> ValidationMetric:
        """What early stopping goes by."""
        given = self.early_stopping.metric if self.early_stopping else "auto"
        return self.VALIDATION_METRICS[0] if given == "auto" else given

    @property
    def shares_sequences(self) -> bool:
        """Whether several rows may be one sequence."""
        return False

    @property
    def fills_sequences(self) -> bool:
        """Whether rows fill sequences of max_length, wherever in a row one ends."""
        return False

    @property
    def cycle(self) -> int:
        """Optimiser steps on the same rows, one after the other; a run can go on from the ends of such cycles only."""
        return 1

    @property
    def validation_interval(self) -> Auto | int:
        """`eval_interval`, whichever key it came by."""
        return self.eval_interval

    @property
    def holds_reference(self) -> bool:
        """Whether a second model stands beside the trained one."""
        return False

    @property
    def further(self) -> dict[str, float]:
        """Hyperparameters of the method's own, as they are used."""
        return {}

    @property
    def needs_validation(self) -> str | None:
        """The first option that means nothing without validation rows, where one is asked for."""
        asked = {
            "early_stopping": self.early_stopping is not None,
            "keep_best": self.keep_best is not None,
            "samples.rows": self.samples.rows not in ("auto", 0),
        }
        return next((key for key, is_asked in asked.items() if is_asked), None)
