"""Reward models: their options."""

from typing import ClassVar, Literal

from pydantic import Field

from core.specs.strict import Strict
from core.specs.training import ModelKind, ScoredSamples, Training, ValidationMetric


class RewardModel(Training):
    """A score for each answer, learnt from comparisons (Stiennon et al., 2020, arXiv 2009.01325)."""

    YIELDS: ClassVar[ModelKind] = "reward_model"
    STARTS_FROM: ClassVar[tuple[ModelKind, ...]] = ("policy", "reward_model")
    VALIDATION_METRICS: ClassVar[tuple[ValidationMetric, ...]] = ("valid_loss", "valid_accuracy")
    AUTO_EPOCHS: ClassVar[tuple[tuple[int, int], ...]] = (
        (1000, 3),
    )  # comparisons are learnt by heart within few passes
    # Of full weights of width 4096 that is 9e-6, where Llama 2's reward models had 1e-5 (arXiv 2307.09288).
    AUTO_LEARNING_RATE_SHARE: ClassVar[float] = 0.3

    samples: ScoredSamples = Field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default_factory=ScoredSamples,
        description="Scores of the responses of validation rows before and after training, kept as the artifact "
        "samples.jsonl.",
    )
    center_coefficient: float = Field(
        default=0.01,
        ge=0,
        le=10,
        description="Weight of the squared sum of two compared scores, which keeps scores around 0 (Eisenstein et al., "
        "2023, arXiv 2312.09244).",
    )

    @property
    def shares_sequences(self) -> bool:
        return True


class RewardModelMethod(Strict):
    """Stage 3: a model that scores answers as those who compared them would."""

    type: Literal["reward_model"]
    reward_model: RewardModel = Field(default_factory=RewardModel)

    @property
    def options(self) -> RewardModel:
        """Those of the method, whichever it is."""
        return self.reward_model
