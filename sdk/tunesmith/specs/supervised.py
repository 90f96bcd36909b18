# pyright: standard, reportMissingImports=false
# Copied from core/specs/supervised.py by sdk/tools/copy_core.py: change it there.
"""Supervised fine-tuning: its options."""

from typing import Literal

from pydantic import Field

from tunesmith.specs.strict import Strict
from tunesmith.specs.training import Training


class Supervised(Training):
    """Supervised fine-tuning on the assistant's tokens."""

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

    @property
    def shares_sequences(self) -> bool:
        return self.packing == "auto"


class SupervisedMethod(Strict):
    """Stage 2: supervised fine-tuning."""

    type: Literal["supervised"] = "supervised"
    supervised: Supervised = Field(default_factory=Supervised)

    @property
    def options(self) -> Supervised:
        """Those of the method, whichever it is."""
        return self.supervised
