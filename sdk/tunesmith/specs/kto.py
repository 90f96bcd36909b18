# pyright: standard, reportMissingImports=false
# Copied from core/specs/kto.py by sdk/tools/copy_core.py: change it there.
"""Kahneman-Tversky optimisation: its options."""

from typing import Annotated, Literal

from pydantic import Field

from tunesmith.specs.reference import ReferenceHyperparameters, ReferenceTraining
from tunesmith.specs.strict import Auto, Strict

Loss = Literal["kto", "apo_zero_unpaired"]
Weight = Annotated[float, Field(gt=0, le=1000)]


class KtoHyperparameters(ReferenceHyperparameters):
    """The contract's knobs."""

    batch_size: Auto | Annotated[int, Field(ge=2, le=256)] = Field(
        default="auto",
        description="Rows per optimiser step; at least two, as answers are compared with those of other prompts. "
        "auto: 8.",
    )


class Kto(ReferenceTraining):
    """Kahneman-Tversky optimisation (Ethayarajh et al., 2024, arXiv 2402.01306)."""

    hyperparameters: KtoHyperparameters = Field(default_factory=KtoHyperparameters)  # pyright: ignore[reportIncompatibleVariableOverride]
    loss: Loss = Field(
        default="kto",
        description="kto: rewards are measured from how far the model has moved on average, an estimate of the KL "
        "divergence. apo_zero_unpaired: from zero (D'Oosterlinck et al., 2024, arXiv 2408.06266), for liked answers "
        "that are better than the model's own.",
    )
    desirable_weight: Auto | Weight = Field(
        default="auto",
        description="Weight of the loss of rows whose label is true. auto: so that both labels weigh alike in all, "
        "beside the other weight where that is given; else the label with fewer rows is weighted up, the other "
        "weighs 1 (equation 8 of the paper).",
    )
    undesirable_weight: Auto | Weight = Field(
        default="auto", description="Weight of the loss of rows whose label is false. auto: as of desirable_weight."
    )

    def label_weights(self, *, desirable: int, undesirable: int) -> tuple[float, float]:
        """(weight of desirable rows, of undesirable ones) of a file that has so many of each."""
        one, other = self.desirable_weight, self.undesirable_weight
        if one != "auto" and other != "auto":
            return one, other
        # What one desirable row has to weigh for each of the undesirable ones; with one label there is no balance.
        ratio = undesirable / desirable if desirable and undesirable else 1.0
        if one != "auto":
            return one, one / ratio
        if other != "auto":
            return other * ratio, other
        return max(1.0, ratio), max(1.0, 1 / ratio)


class KtoMethod(Strict):
    """Stage 3 without reinforcement learning: answers that were liked, and others that were not."""

    type: Literal["kto"]
    kto: Kto = Field(default_factory=Kto)

    @property
    def options(self) -> Kto:
        """Those of the method, whichever it is."""
        return self.kto
