"""kill -9 and lost doorbells: the job finishes, once, with the bytes of an undisturbed run."""

from collections.abc import Callable

import pytest
from openai import OpenAI
from sqlalchemy import Engine, select

from core.db import session_scope
from core.models import Artifact, Attempt, Event, Job, Worker
from core.queue import TASK, make_celery
from core.settings import Settings
from embedded.services import Services
from tests.e2e.rows import upper_case
from tests.e2e.test_openai import finish, upload
from tests.stack import Stack, eventually

pytestmark = pytest.mark.chaos
LONG = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 12, "batch_size": 4},
        "lora": {"dropout": 0.1}, "checkpoint_interval": 15, "samples": {"rows": 0}}}  # fmt: skip


def create(client: OpenAI) -> str:
    training = upload(client, "t.jsonl", upper_case(120, seed=1))
    return client.fine_tuning.jobs.create(
        model="tiny-random-llama",
        training_file=training,
        seed=5,
        method=LONG,  # pyright: ignore[reportArgumentType]
    ).id


def adapter_digest(engine: Engine, job_id: str) -> str:
    with session_scope(engine) as session:
        statement = select(Artifact.sha256).where(
            Artifact.job_id == job_id, Artifact.name == "adapter_model.safetensors"
        )
        return session.scalars(statement).one()


def has_checkpoint(client: OpenAI, job_id: str) -> Callable[[], bool]:
    return lambda: bool(client.fine_tuning.jobs.checkpoints.list(job_id, limit=1).data)


@pytest.fixture(scope="module")
def known() -> dict[str, str]:
    return {}


@pytest.fixture
def undisturbed(openai: OpenAI, engine: Engine, known: dict[str, str]) -> str:
    """The digest of the adapter of a run that nobody disturbs; run once."""
    if not known:
        job_id = create(openai)
        assert finish(openai, job_id).status == "succeeded"
        known["digest"] = adapter_digest(engine, job_id)
    return known["digest"]


@pytest.mark.parametrize("victim", ["trainer", "worker", "both"])
def test_kill_9_costs_no_job_and_changes_no_byte(
    stack: Stack, openai: OpenAI, engine: Engine, undisturbed: str, victim: str
) -> None:
    job_id = create(openai)
    eventually(has_checkpoint(openai, job_id), seconds=60, what="a checkpoint")
    trainers = stack.trainers()
    assert len(trainers) == 1, "the job ended before it could be disturbed"
    if victim != "trainer":
        stack.kill("train")
    if victim != "worker":
        for process in trainers:
            process.kill()
    eventually(lambda: not any(p.is_running() for p in trainers), seconds=10, what="the trainer's end")
    if victim != "trainer":
        stack.start("train")

    job = finish(openai, job_id)
    assert job.status == "succeeded", job.error
    assert adapter_digest(engine, job_id) == undisturbed
    eventually(lambda: not stack.trainers(), seconds=10, what="no trainer left over")
    with session_scope(engine) as session:
        outcomes = list(
            session.scalars(select(Attempt.outcome).where(Attempt.job_id == job_id).order_by(Attempt.token))
        )
        assert outcomes == ["fault" if victim == "trainer" else "lost", "succeeded"]
        row = session.get_one(Job, job_id)
        assert (row.faults, row.losses) == ((1, 0) if victim == "trainer" else (0, 1))
        numbers = list(session.scalars(select(Event.seq).where(Event.job_id == job_id).order_by(Event.seq)))
        assert numbers == list(range(1, len(numbers) + 1))


def test_sigterm_of_the_worker_requeues_without_a_count(
    stack: Stack, openai: OpenAI, engine: Engine, undisturbed: str
) -> None:
    job_id = create(openai)
    eventually(has_checkpoint(openai, job_id), seconds=60, what="a checkpoint")
    stack.children["train"].stop(30)
    assert openai.fine_tuning.jobs.retrieve(job_id).status == "queued"
    stack.start("train")
    assert finish(openai, job_id).status == "succeeded"
    assert adapter_digest(engine, job_id) == undisturbed
    with session_scope(engine) as session:
        job = session.get_one(Job, job_id)
        assert (job.faults, job.losses) == (0, 0)


def test_doubled_and_late_doorbells_start_one_attempt(openai: OpenAI, engine: Engine, settings: Settings) -> None:
    job_id = create(openai)
    bell = make_celery(settings, timeout=5)
    for _ in range(20):
        bell.send_task(TASK, queue="train")
    assert finish(openai, job_id).status == "succeeded"
    bell.send_task(TASK, queue="train")
    with session_scope(engine) as session:
        assert list(session.scalars(select(Attempt.outcome))) == ["succeeded"]
    bell.close()


def test_the_bell_alone_starts_jobs_also_after_a_restart_of_the_broker(
    stack: Stack, openai: OpenAI, services: Services, engine: Engine
) -> None:
    """The worker looks by itself only every ten minutes."""
    stack.children["train"].stop(30)
    stack.start("train", TUNESMITH_POLL_SECONDS="600")
    try:
        eventually(lambda: seen(engine, "train@test"), seconds=60, what="the worker")
        assert finish(openai, create(openai)).status == "succeeded"
        broker = services.child("valkey")
        broker.stop()
        broker.start()
        broker.wait_ready(30)
        assert finish(openai, create(openai)).status == "succeeded"
    finally:
        stack.children["train"].stop(30)
        stack.start("train")


def seen(engine: Engine, worker_id: str) -> bool:
    with session_scope(engine) as session:
        return session.scalar(select(Worker.id).where(Worker.id == worker_id)) is not None


def test_with_the_broker_down_jobs_are_created_and_run(openai: OpenAI, services: Services, engine: Engine) -> None:
    broker = services.child("valkey")
    broker.stop()
    try:
        job_id = create(openai)  # every doorbell of it is lost
        assert finish(openai, job_id).status == "succeeded"
    finally:
        broker.start()
        broker.wait_ready(30)
    assert finish(openai, create(openai)).status == "succeeded"
