import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from core.settings import Settings
from core.storage import Storage
from embedded.process import Child
from embedded.services import Services
from worker.cache import Cache
from worker.context import Context

Start = Callable[..., Child]


@pytest.fixture
def start(services: Services, tmp_path: Path) -> Iterator[Start]:
    """Starts a worker of a queue."""
    started: list[Child] = []

    def start(queue: str, **env: str) -> Child:
        command = [sys.executable, "-m", "celery", "-A", "worker.app", "worker", "--pool", "threads", "-c", "1"]
        child = Child(
            name="worker",
            command=[*command, "-Q", queue, "-n", "start@test", "-l", "info"],
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
