from typing import Any, Literal

from pydantic import BaseModel


class ScoredResponse(BaseModel):
    """A response to the prompt; rank: 1 is the best. before, after: its scores."""

    text: str
    rank: int
    before: float
    after: float


class SampleObject(BaseModel):
    """What a model made of a row before and after training.

    prompt: messages, or a text that goes on. expected: the row's own answer, where it has one. responses: what a reward
    model has scored, the best first; it writes nothing, and `before` and `after` are empty.
    """

    id: str
    object: Literal["fine_tuning.job.sample"] = "fine_tuning.job.sample"
    row: int
    prompt: str | list[dict[str, Any]]
    expected: str = ""
    before: str = ""
    after: str = ""
    responses: list[ScoredResponse] = []
