import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from core.db import session_scope
from core.jobs import claims
from core.registry.catalogue import load_catalogue
from core.settings import PACKAGED_CATALOGUE, Settings
from core.storage import Storage
from embedded.process import Child
from embedded.services import Services
from tests.conftest import ProjectKey
from tests.core.factories import make_job
from worker.cache import Cache
from worker.context import Context
from worker.inputs import read_assignment
from worker.supervisor import Attempt

Start = Callable[..., Child]


@pytest.fixture
def start(services: Services, tmp_path: Path) -> Iterator[Start]:
    """Starts a worker of a queue."""
    started: list[Child] = []

    def start(queue: str, **env: str) -> Child:
        command = [sys.executable, "-m", "celery", "--quiet", "-A", "worker.app", "worker", "--pool", "threads"]
        child = Child(
            name="worker",
            command=[*command, "-c", "1", "-Q", queue, "-n", "start@test", "-l", "info"],
            logs=tmp_path / "logs",
            env={**os.environ, **services.env, "TUNESMITH_WORK_DIR": str(tmp_path), "TUNESMITH_POLL_SECONDS": "0.2"}
            | env,
        )
        child.start()
        started.append(child)
        return child

    yield start
    for child in started:
        assert child.process is not None
        child.process.kill()
        child.stop()


@pytest.fixture
def context(settings: Settings, engine: Engine, storage: Storage, tmp_path: Path) -> Context:
    return Context(
        settings=settings.model_copy(update={"work_dir": tmp_path, "drain_seconds": 0}),
        engine=engine,
        storage=storage,
        cache=Cache(tmp_path / "cache", max_bytes=2**30),
        runs=tmp_path / "runs",
        worker_id="train@test",
        draining=threading.Event(),
    )


@pytest.fixture
def base_model(context: Context) -> None:
    """In the cache already."""
    entry = load_catalogue(PACKAGED_CATALOGUE).find("tiny-random-llama")
    assert entry is not None
    folder = context.settings.work_dir / "cache" / "models" / entry.source.key
    folder.mkdir()
    (folder / "config.json").write_text("{}")


@pytest.fixture
def attempt(context: Context, project: ProjectKey, tmp_path: Path) -> Attempt:
    """At a job that it has just claimed, with an empty run directory."""
    with session_scope(context.engine) as session:
        make_job(session, project.owner)
        job = claims.claim(session, worker_id="w", devices=0, lease=60)
        assert job is not None
        session.flush()
        assignment = read_assignment(session, job, token=job.token or 0, organization_id="org")
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    return Attempt(context, assignment, run_dir, devices=[])
