"""A worker with little memory, or little disk: the job fails with a code that says so, and the worker lives."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from openai import OpenAI
from sqlalchemy import Engine, select

from core.db import session_scope
from core.models import Attempt
from tests.disks import fill, small_disk
from tests.e2e.rows import upper_case
from tests.e2e.test_openai import finish, upload
from tests.stack import Stack, eventually

Restart = Callable[..., None]


@pytest.fixture
def restart(stack: Stack) -> Iterator[Restart]:
    """Starts the train worker anew with other settings; afterwards it has its own again."""

    def restart(**env: str) -> None:
        stack.children["train"].stop(30)
        stack.start("train", **env)

    yield restart
    restart()


def create(client: OpenAI) -> str:
    training = upload(client, "t.jsonl", upper_case(20, seed=1))
    return client.fine_tuning.jobs.create(model="tiny-random-llama", training_file=training, seed=5).id


def lives(stack: Stack, pid: int | None) -> bool:
    return pid is not None and stack.children["train"].pid == pid


def outcomes(engine: Engine, job_id: str) -> list[str | None]:
    with session_scope(engine) as session:
        return list(session.scalars(select(Attempt.outcome).where(Attempt.job_id == job_id).order_by(Attempt.token)))


def test_a_trainer_over_its_memory(
    stack: Stack, restart: Restart, openai: OpenAI, engine: Engine, operator_key: str
) -> None:
    restart(TUNESMITH_TRAINER_MEMORY_BYTES=str(64 * 1024**2))
    pid = stack.children["train"].pid
    job_id = create(openai)
    job = finish(openai, job_id)
    assert job.error is not None
    assert (job.status, job.error.code) == ("failed", "out_of_memory")
    assert "of memory at its peak, of the 64 MiB that it may (3 attempts)" in job.error.message
    assert outcomes(engine, job_id) == ["fault"] * 3
    assert lives(stack, pid)
    runs = stack.folder / "work" / "runs"
    eventually(lambda: not any(runs.iterdir()), seconds=10, what="no run directory is left")

    def counted() -> bool:
        scraped = httpx.get(f"{stack.url}/metrics", headers={"authorization": f"Bearer {operator_key}"}).text
        return 'tunesmith_attempt_errors_total{code="out_of_memory"} 3.0' in scraped

    assert eventually(counted, seconds=10, what="the faults are counted")


def test_a_full_disk(stack: Stack, restart: Restart, openai: OpenAI, engine: Engine, tmp_path: Path) -> None:
    with small_disk(tmp_path / "work", megabytes=64) as disk:
        restart(TUNESMITH_WORK_DIR=str(disk), TUNESMITH_DISK_RESERVE_BYTES="0")
        assert finish(openai, create(openai)).status == "succeeded"
        pid, filler = stack.children["train"].pid, fill(disk, leave=64 * 1024)
        job_id = create(openai)
        job = finish(openai, job_id)
        assert job.error is not None
        assert (job.status, job.error.code) == ("failed", "disk_full")
        assert job.error.message == "The worker's disk is full (3 attempts)"
        assert set(outcomes(engine, job_id)) == {"fault"}
        assert lives(stack, pid)
        filler.unlink()
        assert finish(openai, create(openai)).status == "succeeded"
        assert lives(stack, pid)
        stack.children["train"].stop(30)


def test_a_disk_that_is_full_already_costs_no_job_a_try(
    stack: Stack, restart: Restart, openai: OpenAI, engine: Engine, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "work", megabytes=64) as disk:
        restart(TUNESMITH_WORK_DIR=str(disk), TUNESMITH_DISK_RESERVE_BYTES=str(16 * 1024**2))
        log, filler = stack.folder / "logs" / "train.log", fill(disk, leave=1024**2)
        job_id = create(openai)
        eventually(lambda: "no work is taken" in log.read_text(), seconds=30, what="the worker notices")
        assert outcomes(engine, job_id) == []
        filler.unlink()
        assert finish(openai, job_id).status == "succeeded"
        assert outcomes(engine, job_id) == ["succeeded"]
        stack.children["train"].stop(30)
