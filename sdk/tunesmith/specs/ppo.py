# pyright: standard, reportMissingImports=false
# Copied from core/specs/ppo.py by sdk/tools/copy_core.py: change it there.
"""Proximal policy optimisation against reward models: its options."""

import re
from typing import Annotated, Literal

from pydantic import Field, model_validator

from tunesmith.specs import choices
from tunesmith.specs.graders import Grader, MultiGrader
from tunesmith.specs.rollouts import RolloutTraining
from tunesmith.specs.strict import Strict, WrongKey

TAKEN = re.compile(r"score|score_spread|kl|grader|reward_model_\d+")  # among the rewards of an answer
RewardModelId = Annotated[str, Field(min_length=1, max_length=256)]


class Ppo(RolloutTraining):
    """Proximal policy optimisation (Schulman et al., 2017, arXiv 1707.06347), as Ziegler et al. (2019, arXiv
    1909.08593) and Stiennon et al. (2020, arXiv 2009.01325) use it on language models."""

    reward_models: list[RewardModelId] = Field(
        min_length=1,
        max_length=8,
        description="Models that reward_model jobs made, with the tokenizer of the model that is trained. An answer's "
        "score is the mean of theirs, less spread_penalty times their standard deviation.",
    )
    spread_penalty: float = Field(
        default=0.5,
        ge=0,
        le=100,
        description="Weight of how far several reward models are apart (Coste et al., 2023, arXiv 2310.02743, with the "
        "standard deviation in place of the variance).",
    )
    grader: Grader | None = Field(default=None, description="A grader whose reward is added; null: none.")
    grader_weight: float = Field(default=1.0, ge=-100, le=100, description="Weight of the grader's reward.")
    kl_coefficient: float = Field(
        default=0.05,
        ge=0,
        le=10,
        description="What a nat of distance from the model that the job starts from costs, by token, when training "
        "begins (Ziegler et al., 2019, equation 2).",
    )
    kl_target: float | None = Field(
        default=6.0,
        gt=0,
        le=10_000,
        description="Nats per answer that the coefficient is steered towards (Ziegler et al., 2019, section 2.2); "
        "null: it stays as it is.",
    )
    kl_horizon: int = Field(
        default=10_000, ge=1, le=10_000_000, description="How slowly it is steered, in answers: more is slower."
    )
    kl_limit: float | None = Field(
        default=50.0,
        gt=0,
        le=100_000,
        description="Nats per answer at which the job is stopped, before the model is ruined; its last good checkpoint "
        "is kept. Null: never.",
    )
    gamma: float = Field(default=1.0, gt=0, le=1, description="Discount of a reward, by token.")
    gae_lambda: float = Field(
        default=0.95,
        ge=0,
        le=1,
        description="Of generalised advantage estimation (Schulman et al., 2015, arXiv 1506.02438).",
    )
    clip_range: float = Field(
        default=0.2,
        gt=0,
        lt=1,
        description="How far a token's probability ratio may move with gain (arXiv 1707.06347).",
    )
    value_clip_range: float | None = Field(
        default=0.2, gt=0, le=100, description="How far a value may move with gain from what it was; null: any way."
    )
    value_coefficient: float = Field(default=0.1, gt=0, le=100, description="Weight of the value loss.")
    whiten_advantages: bool = Field(
        default=True, description="Advantages of a step are brought to mean 0 and variance 1."
    )
    missing_eos_penalty: float = Field(
        default=1.0, ge=0, le=1000, description="Taken off the score of an answer that does not end by itself."
    )
    ppo_epochs: int = Field(default=4, ge=1, le=20, description="Passes over the answers of a step.")
    minibatches: int = Field(
        default=1,
        ge=1,
        le=256,
        description="Parts that a step's answers are updated in, in each pass; has to divide batch_size.",
    )

    @model_validator(mode="after")
    def minibatches_are_even(self) -> "Ppo":
        batch_size = choices.batch_size(self)
        if batch_size % self.minibatches:
            raise WrongKey("minibatches", f"{self.minibatches} does not divide the {batch_size} answers of a step")
        return self

    @model_validator(mode="after")
    def names_are_apart(self) -> "Ppo":
        parts = self.grader.graders if isinstance(self.grader, MultiGrader) else ()
        if taken := [name for name in parts if TAKEN.fullmatch(name)]:
            raise WrongKey(f"grader.graders.{taken[0]}", "is what PPO's own figures are called: choose another name")
        return self


def unreadable(longest: int, *, context: int) -> str:
    """What is said of a reward model with that context, where a prompt and its answer may have so many tokens."""
    words = f"it reads {context} tokens, but a prompt and its answer may have {longest}"
    return f"{words}; lower max_length or max_completion_tokens"


class PpoMethod(Strict):
    """Stage 3: reinforcement learning from what reward models have learnt to prefer."""

    type: Literal["ppo"]
    ppo: Ppo

    @property
    def options(self) -> Ppo:
        """Those of the method, whichever it is."""
        return self.ppo
