"""Graders as the API checks and runs them: in a child with limits, a few at once."""

import threading

from core.asking import Servers
from core.errors import InvalidRequest, Unavailable
from core.settings import Settings
from core.specs.graders import Grader
from graders import process
from graders.needs import lacking
from graders.outcome import Outcome
from graders.sample import Sample
from graders.task import Task

AT_ONCE = 2  # children of one API process
PATIENCE = 30.0  # seconds that a request waits for its turn

_turns = threading.BoundedSemaphore(AT_ONCE)


class BadGrader(InvalidRequest):
    """Its form is right, but it can't be run: its source does not compile, or it needs what is not here."""

    code = "invalid_grader"


class Busy(Unavailable):
    """As many graders run as this process may run at once."""

    code = "graders_busy"
    retry_after = 5


def check(grader: Grader, settings: Settings) -> None:
    """Raises BadGrader, or Busy where too many run already."""
    outcome = _run(grader, None, settings)
    if outcome is not None:
        raise BadGrader(f"grader: {'; '.join(outcome.errors.details)}", param="grader")


def run(grader: Grader, sample: Sample, settings: Settings) -> Outcome:
    """What the sample is worth; faults of the sample are in the outcome. Raises as `check` does."""
    outcome = _run(grader, sample, settings)
    assert outcome is not None, "a sample has an outcome"
    return outcome


def _run(grader: Grader, sample: Sample | None, settings: Settings) -> Outcome | None:
    models, embeddings = settings.grader_model_url is not None, settings.grader_embeddings_url is not None
    problem = lacking(grader, models=models, embeddings=embeddings)
    if problem is None:
        if not _turns.acquire(timeout=PATIENCE):
            raise Busy(f"{AT_ONCE} graders are being run already; try again in a moment")
        try:
            with Servers(settings) as ask:
                done = process.run(Task(grader=grader, sample=sample), ask)
        finally:
            _turns.release()
        if done.problem is None:
            return done.outcome
        problem = done.problem
    raise BadGrader(f"grader.{problem.path}: {problem.message}", param=f"grader.{problem.path}")
