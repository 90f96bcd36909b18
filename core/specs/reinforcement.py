"""Reinforcement learning with verifiable rewards: its options."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from core.specs import formula
from core.specs.graders import Grader, MultiGrader, ReasoningGrader
from core.specs.rollouts import RolloutHyperparameters, RolloutTraining
from core.specs.strict import Auto, Strict, WrongKey

Loss = Literal["dapo", "grpo", "dr_grpo", "bnpo", "cispo", "sapo", "luspo", "vespo"]
Effort = Literal["default", "low", "medium", "high"]
WATCHED = "watch"  # among the scores of an answer
# Longest answers that auto stands for, in tokens.
EFFORTS: dict[Effort, int] = {"low": 256, "default": 512, "medium": 1024, "high": 4096}


class ReinforcementHyperparameters(RolloutHyperparameters):
    """The contract's knobs."""

    compute_multiplier: Auto | Annotated[float, Field(gt=1e-5, le=10)] = Field(
        default="auto",
        description="Factor on group_size, the answers to each prompt, which become at least 2. auto: 1.",
    )
    eval_interval: Auto | Annotated[int, Field(ge=1)] = Field(
        default="auto", description="As the method's own eval_interval, under the contract's name."
    )
    eval_samples: Auto | Annotated[int, Field(ge=1, le=64)] = Field(
        default="auto", description="Answers that are sampled to each validation row. auto: 1."
    )
    reasoning_effort: Effort = Field(
        default="default",
        description="What max_completion_tokens `auto` stands for, at most half of the context: low: 256 tokens, "
        "default: 512, medium: 1024, high: 4096.",
    )


class Reinforcement(RolloutTraining):
    """Group-relative policy optimisation (GRPO; Shao et al., 2024, arXiv 2402.03300)."""

    hyperparameters: ReinforcementHyperparameters = Field(default_factory=ReinforcementHyperparameters)  # pyright: ignore[reportIncompatibleVariableOverride]
    grader: Grader = Field(description="What makes an answer's reward.")
    watch: Grader | None = Field(
        default=None,
        description="A grader that is reported and never optimised: where the reward rises and this falls, the reward "
        "is being gamed. Answers that it fails at are left out of its figures; it never ends the job.",
    )
    group_size: int = Field(default=8, ge=2, le=256, description="Answers to each prompt of a step.")
    loss: Loss = Field(
        default="dapo",
        description="TRL's names. dapo: by token over the step (Yu et al., 2025, arXiv 2503.14476). grpo: by answer "
        "(arXiv 2402.03300). dr_grpo: without its bias of length (Liu et al., 2025, arXiv 2503.20783). bnpo: by token "
        "over the batch. cispo: clipped weights (MiniMax, 2025, arXiv 2506.13585). sapo: a soft gate (arXiv "
        "2511.20347). luspo: by answer, weighted by length; needs importance sequence. vespo: a smooth weight of the "
        "whole answer; needs importance token. sapo and vespo clip nothing, cispo upwards alone.",
    )
    importance: Literal["token", "sequence"] = Field(
        default="token",
        description="What a probability ratio is of. sequence: GSPO (Zheng et al., 2025, arXiv 2507.18071).",
    )
    beta: float = Field(
        default=0.01,
        ge=0,
        le=10,
        description="Weight of the KL divergence from the model that the job starts from. 0: none.",
    )
    clip_low: float = Field(default=0.2, gt=0, lt=1, description="How far down a ratio may move with gain.")
    clip_high: float = Field(
        default=0.28, gt=0, le=10, description="How far up: more, so that rare answers can grow (arXiv 2503.14476)."
    )
    updates: int = Field(
        default=1, ge=1, le=16, description="Optimiser steps on each batch of answers; with 1 nothing is clipped."
    )
    scale_rewards: Literal["group", "batch", "none"] = Field(
        default="group",
        description="By whose standard deviation advantages are divided; goes with sum_then_normalize alone.",
    )
    aggregation: Literal["sum_then_normalize", "normalize_then_sum"] = Field(
        default="sum_then_normalize",
        description="normalize_then_sum: each part of a multi or reasoning grader is normalised within its group by "
        "itself, so that no part drowns the others; the parts of multi then count alike, those that its formula takes "
        "away against the others. The formula has to be a weighted sum.",
    )
    mask_truncated: bool = Field(default=False, description="Answers that were cut off are not learnt from.")

    @model_validator(mode="after")
    def has_parts_to_normalize(self) -> "Reinforcement":
        if self.aggregation == "normalize_then_sum" and not isinstance(self.grader, MultiGrader | ReasoningGrader):
            raise WrongKey("aggregation", "normalize_then_sum needs a grader of type multi or reasoning")
        if self.aggregation == "normalize_then_sum" and isinstance(self.grader, MultiGrader):
            try:
                weights = formula.weights(formula.parse(self.grader.calculate_output))
                if not any(weights.values()):
                    raise formula.FormulaError("is no weighted sum of its graders")
            except formula.FormulaError as error:
                raise WrongKey("grader.calculate_output", f"{error}, which normalize_then_sum needs") from None
        return self

    @model_validator(mode="after")
    def scales_what_is_summed_first(self) -> "Reinforcement":
        if self.aggregation == "normalize_then_sum" and self.scale_rewards != "group":
            raise WrongKey("scale_rewards", "normalize_then_sum scales each part within its group: leave it out")
        return self

    @model_validator(mode="after")
    def importance_suits_the_loss(self) -> "Reinforcement":
        needed = {"luspo": "sequence", "vespo": "token"}.get(self.loss, self.importance)
        if self.importance != needed:
            raise WrongKey("importance", f"loss {self.loss} needs {needed}")
        return self

    @model_validator(mode="after")
    def one_eval_interval(self) -> "Reinforcement":
        if self.hyperparameters.eval_interval != "auto" and self.eval_interval != "auto":
            raise WrongKey("eval_interval", "give eval_interval, or hyperparameters.eval_interval, not both")
        return self

    @model_validator(mode="after")
    def names_are_apart(self) -> "Reinforcement":
        if self.watch and isinstance(self.grader, MultiGrader) and WATCHED in self.grader.graders:
            raise WrongKey(f"grader.graders.{WATCHED}", "is what the scores of `watch` are called: choose another name")
        return self

    @property
    def cycle(self) -> int:
        return self.updates

    @property
    def validation_interval(self) -> Auto | int:
        given = self.hyperparameters.eval_interval
        return self.eval_interval if given == "auto" else given

    @property
    def eval_samples(self) -> int:
        """To each validation prompt."""
        given = self.hyperparameters.eval_samples
        return 1 if given == "auto" else given

    @property
    def answers(self) -> int:
        """To each prompt of a step."""
        multiplier = self.hyperparameters.compute_multiplier
        return max(2, round(self.group_size * (1 if multiplier == "auto" else multiplier)))

    def completion_tokens(self, *, context: int) -> int:
        given = self.max_completion_tokens
        return min(context // 2, EFFORTS[self.hyperparameters.reasoning_effort]) if given == "auto" else given


class ReinforcementMethod(Strict):
    """Stage 4: reinforcement learning from graders."""

    type: Literal["reinforcement"]
    reinforcement: Reinforcement

    @property
    def options(self) -> Reinforcement:
        """Those of the method, whichever it is."""
        return self.reinforcement
