# Written by sdk/tools/make_sync.py from tunesmith/_async/resources/rollouts.py: change it there.
"""The answers that a job has learnt from."""

from typing import Literal

from tunesmith._sync.page import Page
from tunesmith._sync.resources.base import Resource
from tunesmith.answers import given, segment
from tunesmith.types import Rollout


class Rollouts(Resource):
    """`client.fine_tuning.jobs.rollouts`: answers that a ppo or reinforcement job has learnt from.

    ```python
    for rollout in client.fine_tuning.jobs.rollouts.list(job.id, order_by="reward", order="asc", min_step=10):
        print(rollout.step, rollout.reward, rollout.completion)
    ```
    """

    def list(
        self,
        job_id: str,
        *,
        order_by: Literal["step", "reward", "advantage", "completion_tokens", "grader_reward"] | None = None,
        order: Literal["asc", "desc"] | None = None,
        step: int | None = None,
        min_step: int | None = None,
        max_step: int | None = None,
        min_reward: float | None = None,
        max_reward: float | None = None,
        min_advantage: float | None = None,
        max_advantage: float | None = None,
        min_completion_tokens: int | None = None,
        max_completion_tokens: int | None = None,
        grader: str | None = None,
        min_grader_reward: float | None = None,
        max_grader_reward: float | None = None,
        truncated: bool | None = None,
        failed: bool | None = None,
        row: int | None = None,
        q: str | None = None,
        limit: int | None = None,
        after: str | None = None,
    ) -> Page[Rollout]:
        """Some answers of each step, those of the last step first; of a job that runs, as far as its last checkpoint.

        Args:
            order_by: what to sort by; None: the step. grader_reward: the reward by `grader`.
            grader: a key of `rewards`: only those that have it.
            truncated: only those that were cut off, or only those that were not.
            failed: only those that could not be graded, or only those that could.
            row: of the training file, from 0: answers to that prompt.
            q: part of the prompt or the completion, in any case.
        """
        query = given(
            order_by=order_by,
            order=order,
            step=step,
            min_step=min_step,
            max_step=max_step,
            min_reward=min_reward,
            max_reward=max_reward,
            min_advantage=min_advantage,
            max_advantage=max_advantage,
            min_completion_tokens=min_completion_tokens,
            max_completion_tokens=max_completion_tokens,
            grader=grader,
            min_grader_reward=min_grader_reward,
            max_grader_reward=max_grader_reward,
            truncated=truncated,
            failed=failed,
            row=row,
            q=q,
            limit=limit,
            after=after,
        )
        return self._pages(Rollout, f"/fine_tuning/jobs/{segment(job_id)}/rollouts", query)
