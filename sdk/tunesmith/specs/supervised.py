# pyright: standard, reportMissingImports=false
# Copied from core/specs/supervised.py by sdk/tools/copy_core.py: change it there.
"""Supervised fine-tuning: its options."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tunesmith.specs.strict import Auto, Strict
from tunesmith.specs.training import Training

LongRows = Literal["truncate", "drop", "error"]


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


class Replay(Strict):
    """Rows of earlier training among the new ones, against forgetting (Robins, 1995)."""

    file: str = Field(min_length=1, max_length=64, description="Id of an uploaded file.")
    fraction: float = Field(
        gt=0,
        le=0.9,
        description="Share of its rows among all that are trained; the seed draws them, each one once at most.",
    )


class Supervised(Training):
    """Supervised fine-tuning on the assistant's tokens."""

    hyperparameters: SupervisedHyperparameters = Field(default_factory=SupervisedHyperparameters)
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
    replay: Replay | None = Field(default=None, description="Null: the rows of the training_file alone.")
    samples: Samples = Field(default_factory=Samples)

    @model_validator(mode="after")
    def one_length_of_run(self) -> "Supervised":
        if self.max_steps is not None and self.hyperparameters.n_epochs != "auto":
            raise ValueError("give max_steps or hyperparameters.n_epochs, not both")
        return self


class SupervisedMethod(Strict):
    """Stage 2: supervised fine-tuning."""

    type: Literal["supervised"] = "supervised"
    supervised: Supervised = Field(default_factory=Supervised)

    @property
    def options(self) -> Supervised:
        """Those of the method, whichever it is."""
        return self.supervised
