from typing import Any, Literal

from pydantic import BaseModel, Field

from core.specs.graders import Grader
from core.specs.strict import Strict
from graders.outcome import Outcome
from graders.sample import Sample


class GraderCheck(Strict):
    """The body of `POST /v1/fine_tuning/alpha/graders/validate`."""

    grader: Grader


class GraderRun(Strict):
    """The body of `POST /v1/fine_tuning/alpha/graders/run`."""

    grader: Grader
    model_sample: str = Field(
        description="What a model has answered; `sample.output_text`, and where it is JSON …_json."
    )
    item: dict[str, Any] | None = Field(default=None, description="The row that it answers; its keys are `item.…`.")

    @property
    def sample(self) -> Sample:
        return Sample(output_text=self.model_sample, item=self.item or {})


class CheckedGrader(BaseModel):
    """The grader as it was understood, with its defaults."""

    grader: dict[str, Any]

    @classmethod
    def of(cls, grader: Grader) -> "CheckedGrader":
        return cls(grader=grader.model_dump(exclude_none=True))


class GraderErrors(BaseModel):
    """What went wrong, as flags; `details`, which the contract has not, says it in words, key by key."""

    formula_parse_error: bool
    sample_parse_error: bool
    truncated_observation_error: bool
    unresponsive_reward_error: bool
    invalid_variable_error: bool
    other_error: bool
    python_grader_server_error: bool
    python_grader_server_error_type: str | None
    python_grader_runtime_error: bool
    python_grader_runtime_error_details: str | None
    model_grader_server_error: bool
    model_grader_refusal_error: bool
    model_grader_parse_error: bool
    model_grader_server_error_details: str | None
    details: list[str]


class GraderMetadata(BaseModel):
    """execution_time: seconds. scores: figures behind the reward. token_usage: of all models that were asked."""

    name: str
    type: Literal["string_check", "text_similarity", "score_model", "python", "math", "reasoning", "multi"]
    errors: GraderErrors
    execution_time: float
    scores: dict[str, float]
    token_usage: int | None
    sampled_model_name: str | None


class ModelTokens(BaseModel):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class GraderResult(BaseModel):
    """The reward; sub_rewards are those of the grader's parts, before they are weighted."""

    reward: float
    metadata: GraderMetadata
    sub_rewards: dict[str, float]
    model_grader_token_usage_per_model: dict[str, ModelTokens]

    @classmethod
    def of(cls, grader: Grader, outcome: Outcome) -> "GraderResult":
        usage = {
            model: ModelTokens(
                prompt_tokens=used.prompt_tokens,
                completion_tokens=used.completion_tokens,
                total_tokens=used.total_tokens,
            )
            for model, used in outcome.usage.items()
        }
        metadata = GraderMetadata(
            name=grader.name,
            type=grader.type,
            errors=GraderErrors.model_validate(outcome.errors, from_attributes=True),
            execution_time=outcome.seconds,
            scores=outcome.scores,
            token_usage=sum(tokens.total_tokens for tokens in usage.values()) if usage else None,
            sampled_model_name=next(iter(usage)) if len(usage) == 1 else None,
        )
        return cls(
            reward=outcome.reward,
            metadata=metadata,
            sub_rewards=outcome.sub_rewards,
            model_grader_token_usage_per_model=usage,
        )
