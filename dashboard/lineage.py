"""Where a model comes from: job by job back to a base model or to random weights, and what came from it."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from tunesmith import AsyncPage, AsyncTunesmith, NotFoundError
from tunesmith.types import File, Job, Model

from dashboard.cells import method_of

MOST = 30  # models of a picture; beyond them links go on
MOST_ONWARD = 100  # jobs


@dataclass
class Stage:
    """A model, and the job that made it; a base model has none, and a job may have made none.

    files: those of the job that still exist. rewards: the lines of the models that it was rewarded by, by their names.
    """

    model: Model | None
    job: Job | None = None
    files: dict[str, File] = field(default_factory=dict)
    rewards: "dict[str, Lineage]" = field(default_factory=dict)


@dataclass
class Lineage:
    """stages: from the model back. end: why it goes no further, where it ends before a base model."""

    stages: list[Stage]
    end: str = ""


async def lineage(api: AsyncTunesmith, model: Model) -> Lineage:
    """
    Raises:
        TunesmithError: the API does not answer.
    """
    return await _lineage(api, model, set())


async def line_of_job(api: AsyncTunesmith, job: Job) -> Lineage:
    """That of the model that it made, or, where there is none, of itself.

    Raises:
        TunesmithError: the API does not answer.
    """
    if job.fine_tuned_model:
        with suppress(NotFoundError):  # deleted since
            return await lineage(api, await api.models.retrieve(job.fine_tuned_model))
    first, seen = Stage(None, job), set[str]()
    if method_of(job) == "initialization":
        found = Lineage([first], "Random weights.")
    else:
        before = await _line_of(api, job.model, seen)
        found = Lineage([first, *before.stages], before.end)
    await _fill(api, [first], seen)
    return found


async def _lineage(api: AsyncTunesmith, model: Model, seen: set[str]) -> Lineage:
    """seen: models whose lines are told already, which grows; where lines meet, the second ends with a link."""
    found = Lineage([])
    while True:
        if model.id in seen and model.job_id:
            found.stages.append(Stage(model))
            found.end = "Its line is on this page already."
            break
        seen.add(model.id)
        stage = Stage(model)
        found.stages.append(stage)
        if model.job_id is None:
            break
        try:
            stage.job = await api.fine_tuning.jobs.retrieve(model.job_id)
            if method_of(stage.job) == "initialization":
                found.end = f"Random weights of the architecture {model.base_model}."
                break
            if len(found.stages) == MOST:
                found.end = f"It goes on: see {stage.job.model}."
                break
            model = await api.models.retrieve(stage.job.model)
        except NotFoundError as error:
            found.end = error.message
            break
    await _fill(api, found.stages, seen)
    return found


async def _fill(api: AsyncTunesmith, stages: list[Stage], seen: set[str]) -> None:
    """Fetch what their jobs were given."""
    await _fetch_files(api, stages)
    for stage in stages:
        for name in rewarding(stage.job):
            stage.rewards[name] = await _line_of(api, name, seen)


async def _line_of(api: AsyncTunesmith, name: str, seen: set[str]) -> Lineage:
    if len(seen) >= MOST:
        return Lineage([], "Its line is on its own page.")
    try:
        return await _lineage(api, await api.models.retrieve(name), seen)
    except NotFoundError as error:  # deleted since
        return Lineage([], error.message)


def rewarding(job: Job | None) -> list[str]:
    """Names of the models that it was rewarded by."""
    return [str(name) for name in options(job).get("reward_models") or []] if job else []


async def onward(api: AsyncTunesmith, job_id: str) -> AsyncPage[Job]:
    """The jobs that start from what this one made, or are rewarded by it, newest first; at most MOST_ONWARD."""
    return await api.fine_tuning.jobs.list(from_job=job_id, limit=MOST_ONWARD)


async def _fetch_files(api: AsyncTunesmith, stages: Iterable[Stage]) -> None:
    async def one(stage: Stage, file_id: str) -> None:
        with suppress(NotFoundError):  # deleted since: its id still says which it was
            stage.files[file_id] = await api.files.retrieve(file_id)

    await asyncio.gather(*(one(stage, id_) for stage in stages if stage.job for _, id_ in files_of(stage.job)))


def files_of(job: Job) -> list[tuple[str, str]]:
    """(what for, file id) of each file that the job was given."""
    replay = options(job).get("replay") or {}
    given = [("trained on", job.training_file), ("validated on", job.validation_file), ("replayed", replay.get("file"))]
    return [(role, file_id) for role, file_id in given if file_id]


def options(job: Job) -> dict[str, Any]:
    """Those of its method."""
    return (job.method or {}).get(method_of(job)) or {}
