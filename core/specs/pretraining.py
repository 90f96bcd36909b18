"""Pre-training: its options."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from core.specs.strict import Auto, Strict
from core.specs.training import Training, Weights


class Pretraining(Training):
    """Learning to go on with text, every token of it."""

    AUTO_EPOCHS: ClassVar[tuple[tuple[int, int], ...]] = ()  # a corpus is read once
    MOST_AUTO_LENGTH: ClassVar[int] = 1024

    max_length: Auto | Annotated[int, Field(ge=32, le=131072)] = Field(
        default="auto",
        description="Tokens of a sequence, which documents fill one behind the other; none sees another. auto: the "
        "model's context, at most 1024.",
    )
    weights: Weights = Field(
        default="full",
        description="What is trained, and what the job yields. full: all weights, as a model that other jobs take as "
        "their base; an adapter that the job starts from is merged into its base first. adapter: a LoRA adapter.",
    )

    @property
    def shares_sequences(self) -> bool:
        return True

    @property
    def fills_sequences(self) -> bool:
        return True

    @model_validator(mode="after")
    def no_row_is_long(self) -> "Pretraining":
        if "long_rows" in self.model_fields_set and self.long_rows != "truncate":
            raise ValueError("long_rows means nothing here, where documents go on in the next sequence: leave it out")
        return self


class PretrainingMethod(Strict):
    """Stage 1: pre-training, from random weights or continued."""

    type: Literal["pretraining"]
    pretraining: Pretraining = Field(default_factory=Pretraining)

    @property
    def options(self) -> Pretraining:
        """Those of the method, whichever it is."""
        return self.pretraining
