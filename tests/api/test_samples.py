"""What a model made of validation rows before and after: read from the store, paged, its owner's alone."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, select
from tunesmith import Tunesmith

from core.db import session_scope
from core.ids import new_id
from core.jobs.publishing import Folder
from core.jobs.samples import FILE, MOST_BYTES, page
from core.models import Job
from core.storage import Storage
from tests.api.conftest import Served
from tests.conftest import ProjectKey
from tests.core.factories import make_job, make_model

ROWS: list[dict[str, Any]] = [
    {"row": 0, "prompt": "Once", "after": "q z"},
    {"row": 1, "prompt": [{"role": "user", "content": "2+2?"}], "expected": "4", "before": "5", "after": "4"},
    {"row": 2, "prompt": [], "responses": [{"text": "a", "rank": 1, "before": 0.5, "after": 1.5}]},
]


@pytest.fixture
def job_id(engine: Engine, project: ProjectKey, storage: Storage, tmp_path: Path) -> str:
    (tmp_path / "yield").mkdir()
    lines = (json.dumps(row) + "\n" for row in ROWS)
    (tmp_path / "yield" / FILE).write_text("".join(lines))
    prefix = f"orgs/org/{new_id('folder-')}/"
    folder = Folder(prefix, storage.put_folder(prefix, tmp_path / "yield"))
    with session_scope(engine) as session:
        name = make_model(session, project.owner, folder=folder, model="tiny-random-llama")
        return session.scalars(select(Job.id).where(Job.fine_tuned_model == name)).one()


def test_they_come_in_pages(served: Served, http: httpx.Client, project: ProjectKey, job_id: str) -> None:
    path = f"/v1/fine_tuning/jobs/{job_id}/samples"
    first = http.get(path, params={"limit": 2}).json()
    assert (first["has_more"], first["last_id"]) == (True, "1")
    assert first["data"][1] == {"id": "1", "object": "fine_tuning.job.sample", **ROWS[1], "responses": []}
    last = http.get(path, params={"after": "1"}).json()
    assert [row["responses"] for row in last["data"]] == [ROWS[2]["responses"]]
    assert last["has_more"] is False
    assert http.get(path, params={"after": "2"}).json()["data"] == []
    assert http.get(path, params={"after": "3"}).json()["error"]["param"] == "after"
    with Tunesmith(base_url=f"{served.url}/v1", api_key=project.key) as client:
        assert [sample.after for sample in client.fine_tuning.jobs.samples(job_id, limit=1)] == ["q z", "4", ""]


def test_long_ones_come_in_shorter_pages(tmp_path: Path) -> None:
    rows = [{"row": n, "after": "x" * (MOST_BYTES // size)} for n, size in enumerate((1, 3, 3, 3))]
    path = tmp_path / FILE
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    pages = [page(path, after=after, limit=20) for after in (None, "0", "2")]
    assert [[row["id"] for row in found.items] for found in pages] == [["0"], ["1", "2"], ["3"]]
    assert [found.has_more for found in pages] == [True, True, False]


def test_there_are_none_before_the_end_and_none_of_others(
    http: httpx.Client, engine: Engine, project: ProjectKey, make_project: Callable[[str], ProjectKey], job_id: str
) -> None:
    with session_scope(engine) as session:
        waiting = make_job(session, project.owner).id
    answer = http.get(f"/v1/fine_tuning/jobs/{waiting}/samples")
    assert (answer.status_code, answer.json()["data"]) == (200, [])
    other = {"authorization": f"Bearer {make_project('other').key}"}
    assert http.get(f"/v1/fine_tuning/jobs/{job_id}/samples", headers=other).status_code == 404
