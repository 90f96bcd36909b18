# pyright: standard, reportMissingImports=false
# Copied from core/specs/optimization.py by sdk/tools/copy_core.py: change it there.
"""How weights are moved: what every method that trains has in common."""

from typing import Annotated, Literal

from pydantic import Field

from tunesmith.specs.strict import Auto, Strict

Optimizer = Literal["adamw", "adafactor", "sgd"]
Schedule = Literal["linear", "cosine", "constant"]


class Optimization(Strict):
    """Optimiser and learning rate."""

    optimizer: Optimizer = Field(
        default="adamw",
        description="adamw: Loshchilov, Hutter, 2019, arXiv 1711.05101, with betas 0.9 and 0.95 (Brown et al., 2020, "
        "arXiv 2005.14165). adafactor: less memory (Shazeer, Stern, 2018, arXiv 1804.04235). sgd: without momentum "
        "(Robbins, Monro, 1951).",
    )
    learning_rate: Auto | Annotated[float, Field(gt=0, le=10)] = Field(
        default="auto",
        description="The highest, times learning_rate_multiplier. auto: 5e-4 · (2000 / width)^0.781, at most 2e-3, the "
        "fit of 'LoRA Without Regret' (Schulman et al., 2025), whose cap is ours; a tenth of that for full weights; "
        "and of either, by factors of ours, 0.1 for dpo, kto, ppo and reinforcement, 0.3 for reward_model.",
    )
    schedule: Schedule = Field(
        default="linear",
        description="How it falls behind the warm-up: to zero in a line (Bergsma et al., 2025, arXiv 2502.15938) or a "
        "half cosine (Loshchilov, Hutter, 2016, arXiv 1608.03983, without restarts), or not at all.",
    )
    warmup: float = Field(
        default=0.05,
        ge=0,
        le=100_000,
        description="Steps in which it rises from zero in a line (Goyal et al., 2017, arXiv 1706.02677); below 1 a "
        "share of all steps, rounded down.",
    )
    weight_decay: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Decoupled (arXiv 1711.05101), of the trained weights; where all are trained, biases and norms are "
        "left out.",
    )
    max_grad_norm: float = Field(
        default=1.0,
        ge=0,
        le=1000,
        description="Gradients are scaled down to this norm (Pascanu et al., 2013); 0: never.",
    )
