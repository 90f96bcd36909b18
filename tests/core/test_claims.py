"""Claim, lease and fence."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import Engine, func, select, update
from sqlalchemy.orm import Session

from core.db import session_scope
from core.jobs import claims, publishing, service
from core.leases import Limits, Replaced
from core.models import Artifact, Attempt, Checkpoint, Event, Job, LogChunk, Metric, Model, Project
from core.specs.run import CheckpointEvent, MessageEvent, MetricsEvent, RunError, RunResult
from core.storage import Entry
from tests.conftest import ProjectKey
from tests.core.factories import make_job

LIMITS = Limits(lease=60, max_losses=3, max_faults=2)
FOLDER = publishing.Folder("p/", [Entry("adapter_model.safetensors", 1, "0" * 64)])
METRICS = MetricsEvent(step=1, total_steps=2, trained_tokens=5, message="Step 1/2", data={"train_loss": 1.0})
CHECKPOINT = CheckpointEvent(step=1, path="checkpoints/step-1", trained_tokens=5, metrics={"train_loss": 1.0})
RESULT = RunResult(outcome="succeeded", step=2, trained_tokens=9)
FAULT = RunError(code="trainer_crashed", message="The trainer was killed", retryable=True)


def claim(session: Session, devices: int = 0) -> Job:
    job = claims.claim(session, worker_id="worker", devices=devices, lease=60)
    assert job is not None
    session.flush()
    return job


def expire(session: Session, job: Job) -> None:
    session.execute(update(Job).where(Job.id == job.id).values(lease_expires_at=func.now() - timedelta(seconds=1)))


def test_claims_go_by_priority_then_fair_share_then_age(
    session: Session, make_project: Callable[[str], ProjectKey]
) -> None:
    busy, idle = make_project("busy"), make_project("idle")
    first, second = (make_job(session, busy.owner) for _ in range(2))
    other = make_job(session, idle.owner)
    urgent = make_job(session, busy.owner)
    urgent.priority = 1
    session.flush()

    assert [claim(session).id for _ in range(4)] == [urgent.id, other.id, first.id, second.id]
    assert claims.claim(session, worker_id="worker", devices=0, lease=60) is None


def test_claims_at_the_same_moment_keep_the_quota(engine: Engine, project: ProjectKey) -> None:
    with session_scope(engine) as session:
        session.get_one(Project, project.project_id).max_running_jobs = 1
        for _ in range(4):
            make_job(session, project.owner)
    together = threading.Barrier(4)

    def take(name: str) -> bool:
        with session_scope(engine) as session:
            session.connection()
            together.wait(10)
            return claims.claim(session, worker_id=name, devices=0, lease=60) is not None

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(take, "abcd")) == [False, False, False, True]


def test_quotas_and_needed_devices_are_respected(session: Session, project: ProjectKey) -> None:
    make_job(session, project.owner, resources={"gpus": 1})
    assert claims.claim(session, worker_id="cpu", devices=0, lease=60) is None
    session.get_one(Project, project.project_id).max_running_jobs = 1
    make_job(session, project.owner)
    claim(session, devices=1)
    assert claims.claim(session, worker_id="gpu", devices=1, lease=60) is None


def test_two_transactions_never_claim_the_same_job(engine: Engine, project: ProjectKey) -> None:
    with session_scope(engine) as session:
        make_job(session, project.owner)
    with session_scope(engine) as one:
        assert claims.claim(one, worker_id="a", devices=0, lease=60) is not None
    with session_scope(engine) as two:
        assert claims.claim(two, worker_id="b", devices=0, lease=60) is None


@pytest.mark.parametrize(
    "write",
    [
        lambda s, t: publishing.heartbeat(s, token=t, lease=60, cost=publishing.Cost(cpu_seconds=1)),
        lambda s, t: publishing.record_log(s, token=t, lease=60, start=0, end=2, text="a\n"),
        lambda s, t: publishing.record(s, token=t, lease=60, start=0, events=[METRICS]),
        lambda s, t: publishing.publish_checkpoint(s, token=t, lease=60, event=CHECKPOINT, folder=FOLDER),
        lambda s, t: publishing.succeed(s, token=t, lease=60, result=RESULT, folder=FOLDER, results_name="results.csv"),
        lambda s, t: publishing.stopped(s, token=t, lease=60),
        lambda s, t: publishing.fail(s, token=t, limits=LIMITS, error=FAULT),
    ],
    ids=["heartbeat", "log", "event", "checkpoint", "finish", "stop", "fault"],
)
@pytest.mark.parametrize("replaced_by", ["another attempt", "cancel"])
def test_a_stale_token_is_refused_and_writes_nothing(
    engine: Engine, project: ProjectKey, write: Callable[[Session, int], object], replaced_by: str
) -> None:
    with session_scope(engine) as session:
        job = make_job(session, project.owner)
        stale = claim(session).token or 0
        if replaced_by == "cancel":
            service.cancel(session, owner=project.owner, job_id=job.id)
        else:
            expire(session, job)
            claims.reap(session, limits=Limits(lease=0, max_losses=9, max_faults=9))
            assert (claim(session).token or 0) > stale
    tables = (Event, Metric, Checkpoint, Artifact, Model, LogChunk)

    def counts(session: Session) -> list[int | None]:
        return [session.scalar(select(func.count()).select_from(table)) for table in tables]

    with session_scope(engine) as session:
        before, row = counts(session), session.get_one(Job, job.id)
        state = (row.status, row.token, row.lease_expires_at, row.event_seq, row.cpu_seconds)
    with pytest.raises(Replaced), session_scope(engine) as session:
        write(session, stale)
    with session_scope(engine) as session:
        row = session.get_one(Job, job.id)
        assert (row.status, row.token, row.lease_expires_at, row.event_seq, row.cpu_seconds) == state
        assert counts(session) == before


def test_cancel_ends_the_attempt(session: Session, project: ProjectKey) -> None:
    job = make_job(session, project.owner)
    claim(session)
    service.cancel(session, owner=project.owner, job_id=job.id)
    attempt = session.scalars(select(Attempt)).one()
    assert (attempt.outcome, attempt.ended_at is not None) == ("cancelled", True)


def test_a_lost_worker_requeues_the_job_until_the_cap(session: Session, project: ProjectKey) -> None:
    job = make_job(session, project.owner)
    for loss in (1, 2):
        claim(session)
        expire(session, job)
        assert claims.reap(session, limits=Limits(lease=0, max_losses=3, max_faults=1)) == 1
        assert (job.status, job.losses) == ("queued", loss)
    claim(session)
    expire(session, job)
    claims.reap(session, limits=Limits(lease=0, max_losses=3, max_faults=1))
    assert (job.status, (job.error or {})["code"]) == ("failed", "worker_lost")
    assert set(session.scalars(select(Attempt.outcome))) == {"lost"}


def test_nothing_is_reaped_until_a_lease_after_the_database_came_back(session: Session, project: ProjectKey) -> None:
    job = make_job(session, project.owner)
    claim(session)
    expire(session, job)
    assert claims.reap(session, limits=Limits(lease=10**6, max_losses=3, max_faults=1)) == 0
    assert claims.reap(session, limits=Limits(lease=0, max_losses=3, max_faults=1)) == 1


def test_a_worker_lost_while_pausing_leaves_the_job_paused(session: Session, project: ProjectKey) -> None:
    job = make_job(session, project.owner)
    claim(session)
    service.pause(session, owner=project.owner, job_id=job.id)
    expire(session, job)
    claims.reap(session, limits=Limits(lease=0, max_losses=3, max_faults=1))
    assert job.status == "paused"


def test_faults_of_the_trainer_are_capped_and_counted_apart_from_losses(session: Session, project: ProjectKey) -> None:
    job = make_job(session, project.owner)
    publishing.fail(session, token=claim(session).token or 0, limits=LIMITS, error=FAULT)
    assert (job.status, job.faults, job.losses) == ("queued", 1, 0)
    publishing.fail(session, token=claim(session).token or 0, limits=LIMITS, error=FAULT)
    assert (job.status, job.error) == (
        "failed",
        {"code": "trainer_crashed", "message": "The trainer was killed (2 attempts)", "param": None},
    )


def test_a_users_error_fails_the_job_at_once(session: Session, project: ProjectKey) -> None:
    job = make_job(session, project.owner)
    error = RunError(code="invalid_file", message="line 3: too long", param="training_file")
    publishing.fail(session, token=claim(session).token or 0, limits=LIMITS, error=error)
    assert (job.status, job.faults) == ("failed", 0)
    assert job.error == {"code": "invalid_file", "message": "line 3: too long", "param": "training_file"}


def test_a_batch_whose_commit_was_not_heard_of_is_recorded_once(session: Session, project: ProjectKey) -> None:
    job = make_job(session, project.owner)
    token = claim(session).token or 0
    batch = [MessageEvent(message="hello"), METRICS]
    publishing.record(session, token=token, lease=60, start=0, events=batch)
    publishing.record(session, token=token, lease=60, start=0, events=batch)
    publishing.record(session, token=token, lease=60, start=2, events=[MessageEvent(message="next")])
    session.flush()
    rows = session.scalars(select(Event).where(Event.job_id == job.id).order_by(Event.seq)).all()
    assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
    assert [row.message for row in rows][-3:] == ["hello", "Step 1/2", "next"]


def test_metrics_of_a_repeated_step_are_those_of_the_latest_attempt(session: Session, project: ProjectKey) -> None:
    job = make_job(session, project.owner)
    publishing.record(session, token=claim(session).token or 0, lease=60, start=0, events=[METRICS])
    expire(session, job)
    claims.reap(session, limits=Limits(lease=0, max_losses=3, max_faults=1))
    again = METRICS.model_copy(update={"data": {"train_loss": 2.0}})
    publishing.record(session, token=claim(session).token or 0, lease=60, start=0, events=[again])
    assert [m.data["train_loss"] for m in session.scalars(select(Metric))] == [2.0]


def test_success_publishes_everything_in_one_transaction(engine: Engine, project: ProjectKey) -> None:
    with session_scope(engine) as session:
        job_id = make_job(session, project.owner, suffix="mine").id
        token = claim(session).token or 0
        publishing.publish_checkpoint(session, token=token, lease=60, event=CHECKPOINT, folder=FOLDER)
        publishing.publish_checkpoint(session, token=token, lease=60, event=CHECKPOINT, folder=FOLDER)
    with session_scope(engine) as session:
        publishing.succeed(session, token=token, lease=60, result=RESULT, folder=FOLDER, results_name="none")
    with session_scope(engine) as session:
        job = session.get_one(Job, job_id)
        assert (job.status, job.trained_tokens) == ("succeeded", 9)
        names = set(session.scalars(select(Model.name)))
        name = f"ft:tiny-random-llama:tunesmith:mine:{job_id[-16:]}"
        assert names == {name, f"{name}:ckpt-step-1"}
        assert job.fine_tuned_model == name
        assert session.scalar(select(func.count()).select_from(Artifact)) == 1


def test_cost_is_charged_once_however_often_it_is_reported(session: Session, project: ProjectKey) -> None:
    job = make_job(session, project.owner)
    for before, after in ((0.0, 5.5), (5.5, 7.5)):  # two attempts, each counting from zero
        token = claim(session).token or 0
        for seconds in (2.0, after - before, after - before, 1.0):
            cost = publishing.Cost(cpu_seconds=seconds, gpu_seconds=2 * seconds)
            publishing.heartbeat(session, token=token, lease=60, cost=cost)
        session.flush()
        assert (job.cpu_seconds, job.gpu_seconds) == (after, 2 * after)
        publishing.stopped(session, token=token, lease=60)


def test_lines_of_a_log_are_kept_once(session: Session, project: ProjectKey) -> None:
    job = make_job(session, project.owner)
    token = claim(session).token or 0
    for start, end, text in ((0, 2, "a\n"), (0, 2, "a\n"), (2, 4, "b\n")):
        publishing.record_log(session, token=token, lease=60, start=start, end=end, text=text)
        session.flush()
    chunks = session.scalars(select(LogChunk).where(LogChunk.job_id == job.id).order_by(LogChunk.seq))
    assert [(chunk.seq, chunk.text) for chunk in chunks] == [(1, "a\n"), (2, "b\n")]
