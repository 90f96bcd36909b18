"""Where a model comes from: job by job back to a base model or to random weights."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from tunesmith import AsyncTunesmith, NotFoundError
from tunesmith.types import File, Job, Model

from dashboard.cells import method_of

MOST = 30  # jobs; beyond them a link goes on


@dataclass
class Stage:
    """A model, and the job that made it; a base model has none. files: those of the job that still exist."""

    model: Model
    job: Job | None = None
    files: dict[str, File] = field(default_factory=dict)


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
    found = Lineage([])
    while True:
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
    await _fetch_files(api, found.stages)
    return found


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
