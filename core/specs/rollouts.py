"""What the methods have in common that learn from answers of their own: rollouts."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from core.specs import grader_template
from core.specs.graders import templates
from core.specs.strict import Auto, Strict, WrongKey
from core.specs.training import Hyperparameters, Training, ValidationMetric

LONGEST_AUTO_COMPLETION = 512  # tokens
FILE = "rollouts.jsonl"  # the artifact, whose lines are Rollout


class RolloutHyperparameters(Hyperparameters):
    """The contract's knobs."""

    batch_size: Auto | Annotated[int, Field(ge=1, le=1024)] = Field(
        default="auto", description="Prompts per step, whatever the number of answers to each. auto: 8."
    )


class RolloutTraining(Training):
    """Training on answers that the model itself has sampled, and that something scored."""

    VALIDATION_METRICS: ClassVar[tuple[ValidationMetric, ...]] = ("valid_reward_mean",)
    # Each pass has new answers, so that nothing is learnt by heart; but sampling them is what a step's time goes into.
    AUTO_EPOCHS: ClassVar[tuple[tuple[int, int], ...]] = ((1000, 3),)
    AUTO_LEARNING_RATE_SHARE: ClassVar[float] = 0.1

    hyperparameters: RolloutHyperparameters = Field(default_factory=RolloutHyperparameters)  # pyright: ignore[reportIncompatibleVariableOverride]
    long_rows: Literal["drop", "error"] = Field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default="error",
        description="What happens to prompts longer than max_length, or than the context leaves beside the answer: "
        "dropped and counted, or an error. A prompt is never cut.",
    )
    temperature: float = Field(
        default=1.0,
        gt=0,
        le=2,
        description="Of sampling. The gradient is that of the distribution that the answers were sampled from.",
    )
    max_completion_tokens: Auto | Annotated[int, Field(ge=1, le=65_536)] = Field(
        default="auto",
        description=f"Longest answer, in tokens. auto: half of the model's context, at most {LONGEST_AUTO_COMPLETION}.",
    )
    max_failed_gradings: float = Field(
        default=0.5,
        ge=0,
        lt=1,
        description="The job fails, with the grader's own error, after a step in which more than this share of the "
        "answers could not be graded. Such an answer has the lowest reward of its step, at most 0.",
    )
    rollouts_kept: int = Field(
        default=500,
        ge=200,
        le=10_000,
        description="How many answers are kept, with their rewards, as the artifact rollouts.jsonl: at least as many, "
        "if the job gets to sample them, and at most twice as many, spread evenly over the steps so far; those to one "
        "prompt stay together.",
    )

    @model_validator(mode="after")
    def rows_are_prompts(self) -> "RolloutTraining":
        if self.replay is not None:
            raise ValueError("replay: rows of another file have no place among prompts; leave it out")
        return self

    @model_validator(mode="after")
    def graders_ask_for_what_there_is(self) -> "RolloutTraining":
        for key in ("grader", "watch"):
            for path, template in templates(getattr(self, key, None)):
                for reference, of_sample in grader_template.keys(template, "sample"):
                    if of_sample == "output_tools":
                        raise WrongKey(f"{key}.{path}", f"{reference}: answers in training have no tool calls")
        return self

    def completion_tokens(self, *, context: int) -> int:
        """The longest answer, in tokens.

        Args:
            context: of the model, in tokens.
        """
        given = self.max_completion_tokens
        return min(context // 2, LONGEST_AUTO_COMPLETION) if given == "auto" else given

    def too_long(self, tokens: int, *, most: int, context: int) -> str:
        """What is said of a prompt of so many tokens, where one may have `most`."""
        left = f"{most} are left for a prompt (max_length, or the context of {context} without max_completion_tokens)"
        return f"has {tokens} tokens, but {left}"

    @property
    def answers(self) -> int:
        """To each prompt of a step."""
        return 1

    @property
    def holds_reference(self) -> bool:
        return self.weights == "full"  # under an adapter lies the reference's base, too


class Rollout(Strict):
    """A line of rollouts.jsonl: one answer of the model, and what it was worth."""

    number: int = Field(description="Which of all answers that the job has sampled it is, from 0 on.")
    step: int = Field(description="The optimiser step that learnt from it.")
    row: int = Field(description="Which row of the training file the prompt is of, from 0 on.")
    prompt: list[dict[str, Any]] = Field(description="The messages.")
    completion: str
    completion_tokens: int
    truncated: bool = Field(description="Whether it was cut off before it ended by itself.")
    reward: float = Field(description="What was optimised.")
    rewards: dict[str, float] = Field(
        default_factory=dict, description="What it is made of, and other figures of the answer, by their names."
    )
    advantage: float = Field(description="By how much it was better than expected; of ppo the mean over its tokens.")
    error: str | None = Field(default=None, description="Why it could not be graded.")
