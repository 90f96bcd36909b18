"""Three generations of the `openai` client, each in a process of its own, against the served API."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine, update

from core.db import session_scope
from core.models import Project
from tests.api.conftest import Served
from tests.conftest import ProjectKey
from tests.core.factories import make_checkpoint, make_file

SCRIPT = Path(__file__).parent / "client_script.py"
# `make setup` puts the older ones beside the newest, each into a folder of its own.
VENV = Path(sys.prefix)


@pytest.mark.parametrize(("folder", "major"), [("openai-1", "1.109.1"), ("openai-2", "2.54.0"), (None, "3.54.0")])
def test_client(
    served: Served, engine: Engine, make_project: Callable[[str], ProjectKey], folder: str | None, major: str
) -> None:
    path = [str(VENV / folder)] if folder else []
    assert all(Path(p).is_dir() for p in path), "make setup installs the older clients"
    users = [make_project("sync"), make_project("async")]
    limited = [make_project("limited sync"), make_project("limited async")]
    others = [make_project("b").project_id, make_project("c").project_id]
    given = {
        "base_url": f"{served.url}/v1",
        "keys": [user.key for user in users],
        "limited": [user.key for user in limited],
        "projects": others,
        "files": {},
        "checkpoints": {},
    }
    with session_scope(engine) as session:
        for user in limited:
            session.execute(update(Project).where(Project.id == user.project_id).values(rate_limit_per_minute=1))
        for user in users:
            given["checkpoints"][user.key] = make_checkpoint(session, user.owner)
            given["files"][user.key] = make_file(session, user.owner).id
    done = subprocess.run(
        [sys.executable, "-W", "error", str(SCRIPT), json.dumps(given)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == major
