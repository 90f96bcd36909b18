from typing import Any, Literal

from pydantic import BaseModel


class RolloutObject(BaseModel):
    """One answer that a job has learnt from.

    id: which of all answers that the job has sampled it is, from 0 on. row: which row of the training file the prompt
    is of, from 0 on. reward: what was optimised; rewards: what that is made of, and other figures of the answer.
    advantage: by how much it was better than expected. error: why it could not be graded.
    """

    id: str
    object: Literal["fine_tuning.job.rollout"] = "fine_tuning.job.rollout"
    step: int
    row: int
    prompt: list[dict[str, Any]]
    completion: str
    completion_tokens: int
    truncated: bool
    reward: float
    rewards: dict[str, float]
    advantage: float
    error: str | None = None
