"""Direct preference optimisation: its options."""

from typing import Literal

from pydantic import Field, model_validator

from core.specs.reference import ReferenceTraining
from core.specs.strict import Strict, WrongKey

Loss = Literal["sigmoid", "ipo", "hinge", "robust", "apo_zero", "apo_down", "sigmoid_norm"]
SMOOTHED = ("robust",)  # TRL computes the others without it


class Dpo(ReferenceTraining):
    """Direct preference optimisation (Rafailov et al., 2023, arXiv 2305.18290)."""

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
        description="Share of the pairs that is taken to be the wrong way round; only the loss robust knows it.",
    )
    sft_weight: float = Field(
        default=0.0,
        ge=0,
        le=100,
        description="Weight of the chosen answers' negative log-likelihood beside the loss (RPO; Pang et al., 2024, "
        "arXiv 2404.19733).",
    )

    @model_validator(mode="after")
    def smoothing_is_used(self) -> "Dpo":
        if self.label_smoothing and self.loss not in SMOOTHED:
            words = f"given {self.label_smoothing}, but it means nothing to the loss {self.loss!r}"
            raise WrongKey("label_smoothing", f"{words}: leave it out, or choose {' or '.join(SMOOTHED)}")
        return self


class DpoMethod(Strict):
    """Stage 3 without reinforcement learning: preferences."""

    type: Literal["dpo"]
    dpo: Dpo = Field(default_factory=Dpo)

    @property
    def options(self) -> Dpo:
        """Those of the method, whichever it is."""
        return self.dpo
