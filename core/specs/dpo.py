"""Direct preference optimisation: its options."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from core.specs.strict import Auto, Strict
from core.specs.training import Hyperparameters, Training, ValidationMetric

Loss = Literal["sigmoid", "ipo", "hinge", "robust", "apo_zero", "apo_down", "sigmoid_norm"]
SMOOTHED = ("sigmoid", "robust")


class DpoHyperparameters(Hyperparameters):
    """The contract's knobs."""

    beta: Auto | Annotated[float, Field(gt=0, le=10)] = Field(
        default="auto",
        description="How much it costs to move away from the reference, which is the model that the job starts from. "
        "auto: 0.1.",
    )


class Dpo(Training):
    """Direct preference optimisation (Rafailov et al., 2023, arXiv 2305.18290)."""

    VALIDATION_METRICS: ClassVar[tuple[ValidationMetric, ...]] = ("valid_loss", "valid_reward_accuracy")
    AUTO_EPOCHS: ClassVar[tuple[tuple[int, int], ...]] = ((1000, 3),)  # pairs are learnt by heart within a few passes
    AUTO_LEARNING_RATE_SHARE: ClassVar[float] = 0.1  # the gradient does not shrink before the pairs are far apart

    hyperparameters: DpoHyperparameters = Field(default_factory=DpoHyperparameters)  # pyright: ignore[reportIncompatibleVariableOverride]
    loss: Loss = Field(
        default="sigmoid",
        description="sigmoid: DPO's own. ipo: a squared margin (Azar et al., 2023, arXiv 2310.12036). hinge: SLiC "
        "(Zhao et al., 2023, arXiv 2305.10425). robust: where a share label_smoothing of the pairs is the wrong way "
        "round (Ray Chowdhury et al., 2024, arXiv 2403.00409). apo_zero, apo_down: anchored (D'Oosterlinck et al., "
        "2024, arXiv 2408.06266), for answers better, or worse, than the model's own. sigmoid_norm: by the token.",
    )
    label_smoothing: float = Field(
        default=0.0,
        ge=0,
        lt=0.5,
        description="Share of the pairs that is taken to be the wrong way round, by the losses sigmoid (Mitchell, "
        "2023, 'A note on DPO with noisy preferences') and robust.",
    )
    sft_weight: float = Field(
        default=0.0,
        ge=0,
        le=100,
        description="Weight of the chosen answers' negative log-likelihood beside the loss (RPO; Pang et al., 2024, "
        "arXiv 2404.19733).",
    )
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

    @model_validator(mode="after")
    def smoothing_is_used(self) -> "Dpo":
        if self.label_smoothing and self.loss not in SMOOTHED:
            raise ValueError(f"label_smoothing means nothing to the loss {self.loss!r}: leave it out")
        return self


class DpoMethod(Strict):
    """Stage 3 without reinforcement learning: preferences."""

    type: Literal["dpo"]
    dpo: Dpo = Field(default_factory=Dpo)

    @property
    def options(self) -> Dpo:
        """Those of the method, whichever it is."""
        return self.dpo
