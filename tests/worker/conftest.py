import threading
from pathlib import Path

import pytest
from sqlalchemy import Engine

from core.settings import Settings
from core.storage import Storage
from worker.cache import Cache
from worker.context import Context


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
