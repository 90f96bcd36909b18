# pyright: standard, reportMissingImports=false
# Copied from core/specs/method.py by sdk/tools/copy_core.py: change it there.
"""The training methods: `method.type` names one, and the object of the same name holds its options."""

from typing import Annotated, Literal

from pydantic import Field

from tunesmith.specs.strict import Auto, Strict


class SupervisedHyperparameters(Strict):
    """The contract's three knobs; `auto` leaves the choice to the trainer, which reports what it chose."""

    n_epochs: Auto | Annotated[int, Field(ge=1, le=50)] = Field(
        default="auto", description="Passes over the training rows; auto: 3, fewer for large files."
    )
    batch_size: Auto | Annotated[int, Field(ge=1, le=256)] = Field(
        default="auto", description="Rows per optimiser step, on average: packed sequences hold several rows. auto: 8."
    )
    learning_rate_multiplier: Auto | Annotated[float, Field(gt=0, le=100)] = Field(
        default="auto", description="Factor on the trainer's learning rate for the model's width. auto: 1."
    )


class Lora(Strict):
    """The shape of a LoRA adapter (Hu et al., 2021, arXiv 2106.09685) on every linear layer of the blocks."""

    r: int = Field(default=16, ge=1, le=512, description="Rank of the update.")
    alpha: float = Field(default=32, gt=0, le=2048, description="The update is scaled by alpha / r.")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="Dropout on the adapter's input.")


class Samples(Strict):
    """Greedy completions of validation rows before and after training, kept as the artifact samples.jsonl."""

    rows: Auto | Annotated[int, Field(ge=0, le=1000)] = Field(
        default="auto", description="How many validation rows, from the first; auto: at most 16. 0: none."
    )
    max_tokens: int = Field(default=128, ge=1, le=4096, description="Longest completion, in tokens.")


class Supervised(Strict):
    """Supervised fine-tuning on the assistant's tokens."""

    hyperparameters: SupervisedHyperparameters = Field(default_factory=SupervisedHyperparameters)
    lora: Lora | None = Field(
        default=None, description="Null: r=16, or the shape of the adapter that the job starts from."
    )
    max_length: Auto | Annotated[int, Field(ge=32, le=131072)] = Field(
        default="auto",
        description="Longest row, in tokens; longer rows are an error. auto: the model's context, at most 4096.",
    )
    checkpoint_interval: Auto | Annotated[int, Field(ge=1)] = Field(
        default="auto", description="Optimiser steps between checkpoints; auto: a tenth of the run."
    )
    eval_interval: Auto | Annotated[int, Field(ge=1)] = Field(
        default="auto", description="Optimiser steps between validations; auto: with each checkpoint."
    )
    samples: Samples = Field(default_factory=Samples)


class SupervisedMethod(Strict):
    """Stage 2: supervised fine-tuning."""

    type: Literal["supervised"] = "supervised"
    supervised: Supervised = Field(default_factory=Supervised)


# The kinds of rows, as validation names them (core.rows.chat), that each method learns from.
USABLE_KINDS = {"supervised": ("messages", "prompt_completion", "instruction_response")}

# A discriminated union as soon as there is a second method.
Method = SupervisedMethod
