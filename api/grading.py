"""Graders as the API checks and runs them: in a child with limits, a few at once."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import Depends
from fastapi.concurrency import run_in_threadpool

from api.body import json_body
from api.deps import OwnerDep, SettingsDep
from core.asking import Servers
from core.errors import InvalidRequest, Unavailable
from core.settings import Settings
from core.specs.graders import Grader, PythonGrader, parts
from core.specs.job import JobSpec
from core.specs.method import graders
from graders import process
from graders.needs import lacking
from graders.outcome import Outcome
from graders.sample import Sample
from graders.task import Task

AT_ONCE = 2  # children of one API process
PATIENCE = 30.0  # seconds that a request waits for its turn

MOST_WAITING = 8  # requests; each holds one of the threads that answer all others, too

_turns = threading.BoundedSemaphore(AT_ONCE)
_places = threading.BoundedSemaphore(AT_ONCE + MOST_WAITING)


class BadGrader(InvalidRequest):
    """Its form is right, but it can't be run: its source does not compile, or it needs what is not here."""

    code = "invalid_grader"


class Busy(Unavailable):
    """As many graders run as this process may run at once."""

    code = "graders_busy"
    retry_after = 5


async def checked_job(
    spec: Annotated[JobSpec, Depends(json_body(JobSpec))], owner: OwnerDep, settings: SettingsDep
) -> JobSpec:
    """A job as it is asked for, its graders checked: before there is a transaction, as that may take seconds.

    Raises as `check` does.
    """
    if any(graders(spec.method)):
        await run_in_threadpool(_check_all, spec, settings)
    return spec


CheckedJobDep = Annotated[JobSpec, Depends(checked_job)]


def _check_all(spec: JobSpec, settings: Settings) -> None:
    for param, grader in graders(spec.method):
        check(grader, settings, param=param)


def check(grader: Grader, settings: Settings, *, param: str = "grader") -> None:
    """Raises BadGrader, or Busy where too many run already.

    Args:
        param: the key that it stands under.
    """
    outcome = _run(grader, None, settings, param=param)
    if outcome is not None:
        raise BadGrader(f"{param}: {'; '.join(outcome.errors.details)}", param=param)


def run(grader: Grader, sample: Sample, settings: Settings) -> Outcome:
    """What the sample is worth; faults of the sample are in the outcome. Raises as `check` does."""
    outcome = _run(grader, sample, settings, param="grader")
    assert outcome is not None, "a sample has an outcome"
    return outcome


@contextmanager
def _turn() -> Iterator[None]:
    """Raises Busy."""
    busy = Busy(f"{AT_ONCE} graders are being run already; try again in a moment")
    if not _places.acquire(blocking=False):
        raise busy
    try:
        if not _turns.acquire(timeout=PATIENCE):
            raise busy
        try:
            yield
        finally:
            _turns.release()
    finally:
        _places.release()


def _run(grader: Grader, sample: Sample | None, settings: Settings, *, param: str) -> Outcome | None:
    models, embeddings = settings.grader_model_url is not None, settings.grader_embeddings_url is not None
    problem = lacking(grader, models=models, embeddings=embeddings)
    if problem is None:
        if sample is None and not any(isinstance(part, PythonGrader) for _, part in parts(grader)):
            return None  # all that could be wrong was seen
        with _turn(), Servers(settings) as ask:
            done = process.run(Task(grader=grader, sample=sample), ask)
        if done.problem is None:
            return done.outcome
        problem = done.problem
    raise BadGrader(f"{param}.{problem.path}: {problem.message}", param=f"{param}.{problem.path}")
