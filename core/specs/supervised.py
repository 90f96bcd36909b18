"""Supervised fine-tuning: its options."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from core.specs.lora import Lora
from core.specs.optimization import Optimization
from core.specs.strict import Auto, Strict

LongRows = Literal["truncate", "drop", "error"]
ValidationMetric = Literal["valid_loss", "valid_mean_token_accuracy"]


class SupervisedHyperparameters(Strict):
    """The contract's three knobs; `auto` leaves the choice to the trainer, which reports what it chose."""

    n_epochs: Auto | Annotated[int, Field(ge=1, le=50)] = Field(
        default="auto", description="Passes over the training rows; auto: 3, fewer for large files."
    )
    batch_size: Auto | Annotated[int, Field(ge=1, le=256)] = Field(
        default="auto", description="Rows per optimiser step, on average: packed sequences hold several rows. auto: 8."
    )
    learning_rate_multiplier: Auto | Annotated[float, Field(gt=0, le=100)] = Field(
        default="auto", description="Factor on the learning rate. auto: 1."
    )


class Samples(Strict):
    """Greedy completions of validation rows before and after training, kept as the artifact samples.jsonl."""

    rows: Auto | Annotated[int, Field(ge=0, le=1000)] = Field(
        default="auto", description="How many validation rows, from the first; auto: at most 16. 0: none."
    )
    max_tokens: int = Field(default=128, ge=1, le=4096, description="Longest completion, in tokens.")


class EarlyStopping(Strict):
    """Stop when validation no longer gets better (Prechelt, 1998)."""

    metric: ValidationMetric = Field(default="valid_loss", description="What has to get better.")
    patience: int = Field(default=3, ge=1, le=1000, description="Validations in a row without a better one.")
    min_delta: float = Field(default=0.0, ge=0, description="By how much a validation has to be better to count.")


class Supervised(Strict):
    """Supervised fine-tuning on the assistant's tokens."""

    hyperparameters: SupervisedHyperparameters = Field(default_factory=SupervisedHyperparameters)
    lora: Lora | None = Field(
        default=None, description="Null: the defaults, or the shape of the adapter that the job starts from."
    )
    optimization: Optimization = Field(default_factory=Optimization)
    max_steps: int | None = Field(
        default=None,
        ge=1,
        le=10_000_000,
        description="Optimiser steps, however many passes they make; in place of n_epochs.",
    )
    max_length: Auto | Annotated[int, Field(ge=32, le=131072)] = Field(
        default="auto", description="Longest row, in tokens. auto: the model's context, at most 4096."
    )
    long_rows: LongRows = Field(
        default="truncate",
        description="What happens to longer rows, which are counted and warned of: cut off behind max_length, dropped, "
        "or an error. A row that has nothing to learn in front of the cut is dropped.",
    )
    packing: Literal["auto", "off"] = Field(
        default="auto",
        description="auto: rows share sequences, and none sees another (best-fit decreasing; Krell et al., 2021, "
        "arXiv 2107.02027). off: a row, a sequence; slower.",
    )
    neftune_alpha: float | None = Field(
        default=None,
        gt=0,
        le=100,
        description="Noise on embeddings while training (NEFTune; Jain et al., 2023, arXiv 2310.05914).",
    )
    validation_split: float | None = Field(
        default=None,
        gt=0,
        le=0.5,
        description="Share of the training rows to hold out, drawn by the seed, where there is no validation_file.",
    )
    checkpoint_interval: Auto | Annotated[int, Field(ge=1)] = Field(
        default="auto", description="Optimiser steps between checkpoints; auto: a tenth of the run."
    )
    eval_interval: Auto | Annotated[int, Field(ge=1)] = Field(
        default="auto", description="Optimiser steps between validations; auto: with each checkpoint."
    )
    early_stopping: EarlyStopping | None = Field(default=None, description="Null: the run goes to its end.")
    keep_best: ValidationMetric | None = Field(
        default=None,
        description="The job yields the weights of the validation that was best by this; null: the last ones.",
    )
    merged_weights: bool = Field(
        default=False, description="Also yield the base model with the adapter merged into it, as the artifact merged/."
    )
    tensorboard: bool = Field(
        default=False,
        description="Also yield the figures of all steps as TensorBoard reads them, as the artifact tensorboard/.",
    )
    samples: Samples = Field(default_factory=Samples)

    @model_validator(mode="after")
    def one_length_of_run(self) -> "Supervised":
        if self.max_steps is not None and self.hyperparameters.n_epochs != "auto":
            raise ValueError("give max_steps or hyperparameters.n_epochs, not both")
        return self

    @property
    def needs_validation(self) -> str | None:
        """The first option that compares validations, where one does."""
        return next((name for name in ("early_stopping", "keep_best") if getattr(self, name)), None)


class SupervisedMethod(Strict):
    """Stage 2: supervised fine-tuning."""

    type: Literal["supervised"] = "supervised"
    supervised: Supervised = Field(default_factory=Supervised)
