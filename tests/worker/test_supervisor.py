"""How an attempt reads its trainer's end."""

import pytest

from core.db import session_scope
from core.jobs import service
from core.models import Job
from core.specs.run import RunResult
from tests.conftest import ProjectKey
from tests.stack import eventually
from worker import forkserver
from worker.supervisor import Attempt


def start(attempt: Attempt, function: str) -> None:
    folder = attempt.run_dir
    log = str(folder / "log.txt")
    attempt._process = forkserver.spawn(
        "tests.worker.children", function, str(folder), devices=[], threads=None, log=log
    )
    eventually((folder / "begun").exists, seconds=60, what="the trainer runs")


def state(attempt: Attempt) -> tuple[str, int]:
    with session_scope(attempt.context.engine) as session:
        job = session.get_one(Job, attempt.assignment.job_id)
        return job.status, job.faults


@pytest.mark.parametrize("trainer", ["hang", "hang_and_ignore"])
def test_a_pause_that_finds_a_trainer_that_does_not_listen_is_no_fault(
    attempt: Attempt, project: ProjectKey, trainer: str
) -> None:
    """It has not begun to, and SIGTERM ends it; or it hangs, and is killed when its time is up."""
    start(attempt, trainer)
    with session_scope(attempt.context.engine) as session:
        service.pause(session, owner=project.owner, job_id=attempt.assignment.job_id)
    attempt._beat()
    attempt._pass_on_requests()
    assert attempt._process is not None
    if trainer == "hang_and_ignore":
        attempt._pass_on_requests()
    attempt._process.join(10)
    attempt._finish()
    assert state(attempt) == ("paused", 0)


def test_a_stop_that_nobody_asked_for_is_a_fault(attempt: Attempt) -> None:
    result = RunResult(outcome="stopped", step=1, trained_tokens=1)
    (attempt.run_dir / "result.json").write_text(result.model_dump_json())
    start(attempt, "hang")
    attempt._kill()
    attempt._finish()
    assert state(attempt) == ("queued", 1)
