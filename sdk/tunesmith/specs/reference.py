# pyright: standard, reportMissingImports=false
# Copied from core/specs/reference.py by sdk/tools/copy_core.py: change it there.
"""What methods have in common that hold the trained model against the one that it started from."""

from typing import Annotated, ClassVar

from pydantic import Field

from tunesmith.specs.strict import Auto
from tunesmith.specs.training import Hyperparameters, Training, ValidationMetric


class ReferenceHyperparameters(Hyperparameters):
    """The contract's knobs."""

    beta: Auto | Annotated[float, Field(gt=0, le=10)] = Field(
        default="auto",
        description="How much it costs to move away from the reference, which is the model that the job starts from. "
        "auto: 0.1.",
    )


class ReferenceTraining(Training):
    """Training with a reference."""

    VALIDATION_METRICS: ClassVar[tuple[ValidationMetric, ...]] = ("valid_loss", "valid_reward_accuracy")
    # Preferences are learnt by heart within a few passes, and their gradient does not shrink before they are far apart.
    AUTO_EPOCHS: ClassVar[tuple[tuple[int, int], ...]] = ((1000, 3),)
    AUTO_LEARNING_RATE_SHARE: ClassVar[float] = 0.1

    hyperparameters: ReferenceHyperparameters = Field(default_factory=ReferenceHyperparameters)  # pyright: ignore[reportIncompatibleVariableOverride]
    precompute_reference: bool = Field(
        default=False,
        description="The reference's log-probabilities are computed once, before training: quicker in several passes.",
    )

    @property
    def beta(self) -> float:
        given = self.hyperparameters.beta
        return 0.1 if given == "auto" else given

    @property
    def further(self) -> dict[str, float]:
        return {"beta": self.beta}

    @property
    def shares_sequences(self) -> bool:
        return True

    @property
    def holds_reference(self) -> bool:
        return self.weights == "full"  # under an adapter lies the reference's base, too
