"""The shape of a LoRA adapter and what it starts from."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from core.specs.strict import Strict

ModuleName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_.]{0,127}$")]


class Lora(Strict):
    """A low-rank adapter (Hu et al., 2021, arXiv 2106.09685)."""

    r: int = Field(default=16, ge=1, le=512, description="Rank of the update.")
    alpha: float = Field(default=32, gt=0, le=2048, description="The update is scaled by alpha / r.")
    dropout: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Dropout (Srivastava et al., 2014) on the adapter's input, as QLoRA has it (arXiv 2305.14314).",
    )
    target_modules: (
        Literal["all-linear", "attention", "mlp"] | Annotated[list[ModuleName], Field(min_length=1, max_length=64)]
    ) = Field(
        default="all-linear",
        description="Which layers it sits on: all linear ones of the blocks ('LoRA Without Regret', Schulman et al., "
        "2025), those of the attention or of the MLPs, or names such as q_proj.",
    )
    rslora: bool = Field(
        default=False,
        description="Scale by alpha / √r instead (rank-stabilised; Kalajdzievski, 2023, arXiv 2312.03732).",
    )
    dora: bool = Field(
        default=False,
        description="Learn the weights' magnitudes apart from their directions (DoRA; Liu et al., 2024, "
        "arXiv 2402.09353). Slower.",
    )
    init: Literal["zero", "gaussian", "orthogonal"] = Field(
        default="zero",
        description="How it starts. zero: A uniform (He et al., 2015, arXiv 1502.01852), B zero, as in LoRA's own "
        "code. gaussian: A normal of deviation 1/r, B zero, as in its paper. orthogonal: neither zero, but orthogonal "
        "to each other (datta0.github.io/posts/rethink-lora-init), so that their product is zero up to rounding; needs "
        "an even r.",
    )

    @model_validator(mode="after")
    def check_orthogonal(self) -> "Lora":
        if self.init == "orthogonal" and self.r % 2:
            raise ValueError(f"init 'orthogonal' needs an even r; given {self.r}")
        return self
