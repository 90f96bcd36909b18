from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query

from api.deps import After, EngineDep, OwnerDep, StorageDep
from api.schemas.page import ListPage
from api.schemas.rollout import RolloutObject
from core.errors import InvalidRequest
from core.jobs import rollouts
from core.jobs.kept import kept_file
from core.specs.rollouts import FILE

router = APIRouter(prefix="/fine_tuning/jobs", tags=["fine-tuning"])


def narrowed(
    step: Annotated[int | None, Query(ge=0, description="This one alone.")] = None,
    min_step: Annotated[int | None, Query(ge=0)] = None,
    max_step: Annotated[int | None, Query(ge=0)] = None,
    min_reward: float | None = None,
    max_reward: float | None = None,
    min_advantage: float | None = None,
    max_advantage: float | None = None,
    min_completion_tokens: Annotated[int | None, Query(ge=0)] = None,
    max_completion_tokens: Annotated[int | None, Query(ge=0)] = None,
    grader: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=256,
            description="A key of `rewards`: those alone that have it. A grader that is no part of another has none: "
            "its reward is `reward`.",
        ),
    ] = None,
    min_grader_reward: Annotated[float | None, Query(description="Of the `grader`.")] = None,
    max_grader_reward: Annotated[float | None, Query(description="Of the `grader`.")] = None,
    truncated: Annotated[bool | None, Query(description="Whether it was cut off at max_completion_tokens.")] = None,
    failed: Annotated[bool | None, Query(description="Whether it could not be graded.")] = None,
    row: Annotated[int | None, Query(ge=0, description="Of the training file, from 0: answers to that prompt.")] = None,
    q: Annotated[
        str | None, Query(min_length=1, max_length=1000, description="Part of the prompt or completion, in any case.")
    ] = None,
) -> rollouts.Wanted:
    if step is not None and (min_step is not None or max_step is not None):
        raise InvalidRequest("step: give it, or min_step and max_step, not both", param="step")
    return rollouts.Wanted(
        min_step=min_step if step is None else step,
        max_step=max_step if step is None else step,
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
        text=q,
    )


@router.get("/{job_id}/rollouts")
def list_rollouts(
    job_id: str,
    owner: OwnerDep,
    engine: EngineDep,
    storage: StorageDep,
    wanted: Annotated[rollouts.Wanted, Depends(narrowed)],
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    order_by: Annotated[
        rollouts.Key, Query(description="Equal ones: by when they were sampled. grader_reward: of the `grader`.")
    ] = "step",
    order: Literal["asc", "desc"] = "desc",
) -> ListPage[RolloutObject]:
    """Answers that the job has learnt from, with what they were worth: some of each step, the last step's first.

    What the job yielded, and before it has succeeded, what its latest checkpoint holds: none before the first one, and
    none of a method that samples none.
    """
    if order_by == rollouts.GRADER_REWARD and wanted.grader is None:
        raise InvalidRequest("order_by: of which grader? Name one of a rollout's rewards as `grader`", param="order_by")
    with kept_file(engine, storage, owner=owner, job_id=job_id, name=FILE) as path:
        if path is None:
            return ListPage.of([], has_more=False)
        page = rollouts.page(path, wanted, by=order_by, descending=order == "desc", after=after, limit=limit)
    return ListPage.of([RolloutObject.model_validate(row) for row in page.items], has_more=page.has_more)
