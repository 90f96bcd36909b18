"""Three generations of the `openai` client, each in a process of its own, against the served API."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, update

from core.db import lock, session_scope
from core.models import Project
from core.settings import Settings
from tests.api.conftest import Served, serve
from tests.conftest import ProjectKey
from tests.core.factories import make_checkpoint, make_file
from tests.stack import eventually

SCRIPT = Path(__file__).parent / "client_script.py"
# `make setup` puts the older ones beside the newest, each into a folder of its own.
VENV = Path(sys.prefix)


@contextmanager
def holding_a_key(engine: Engine, releases: dict[str, Path]) -> Iterator[None]:
    """A request of each project holds the key `held` until the project's file is there."""

    def hold(project_id: str, release: Path) -> None:
        with session_scope(engine) as session:
            lock(session, f"idempotency:{project_id}:held")
            eventually(release.exists, seconds=120, what="the client has been told to come again")

    with ThreadPoolExecutor(len(releases)) as pool:
        held = [pool.submit(hold, *item) for item in releases.items()]
        try:
            yield
        finally:
            for path in releases.values():
                path.touch()  # where the client has failed before
    for future in held:
        future.result()


@pytest.fixture(scope="module")
def small(settings: Settings) -> Iterator[Served]:
    """Takes files of 100 bytes at most."""
    with serve(settings.model_copy(update={"file_max_bytes": 100})) as served:
        yield served


@pytest.mark.parametrize(("folder", "major"), [("openai-1", "1.109.1"), ("openai-2", "2.54.0"), (None, "3.54.0")])
def test_client(
    served: Served,
    small: Served,
    engine: Engine,
    make_project: Callable[[str], ProjectKey],
    tmp_path: Path,
    folder: str | None,
    major: str,
) -> None:
    path = [str(VENV / folder)] if folder else []
    assert all(Path(p).is_dir() for p in path), "make setup installs the older clients"
    users = [make_project("sync"), make_project("async")]
    limited = [make_project("limited sync"), make_project("limited async")]
    others = [make_project("b").project_id, make_project("c").project_id]
    given = {
        "base_url": f"{served.url}/v1",
        "small_url": f"{small.url}/v1",
        "keys": [user.key for user in users],
        "limited": [user.key for user in limited],
        "projects": others,
        "files": {},
        "checkpoints": {},
        "releases": {user.key: str(tmp_path / user.project_id) for user in users},
    }
    with session_scope(engine) as session:
        for user in limited:
            session.execute(update(Project).where(Project.id == user.project_id).values(rate_limit_per_minute=1))
        for user in users:
            given["checkpoints"][user.key] = make_checkpoint(session, user.owner)
            given["files"][user.key] = make_file(session, user.owner).id
    with holding_a_key(engine, {user.project_id: tmp_path / user.project_id for user in users}):
        done = subprocess.run(
            [sys.executable, "-W", "error", str(SCRIPT), json.dumps(given)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout == major
