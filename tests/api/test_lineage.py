"""From any model back to where it came from, and whose files are listed: over the API and the SDK."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine
from tunesmith import Tunesmith

from core.db import session_scope
from tests.api.conftest import Served
from tests.api.test_files import upload
from tests.conftest import ProjectKey
from tests.core.factories import make_checkpoint, make_file, make_job, make_model

BASE = "tiny-random-llama"


@pytest.fixture
def line(engine: Engine, project: ProjectKey) -> list[str]:
    """Names of three models, each made from the one before it; the second is deleted."""
    with session_scope(engine) as session:
        first = make_model(session, project.owner, model=BASE, seed=1)
        replay = make_file(session, project.owner).id
        options = {"type": "supervised", "supervised": {"replay": {"file": replay, "fraction": 0.5}}}
        second = make_model(session, project.owner, model=first, seed=2, method=options)
        return [first, second, make_model(session, project.owner, model=second, seed=3)]


def test_a_line_of_models_is_followed_to_its_base(http: httpx.Client, line: list[str]) -> None:
    assert http.delete(f"/v1/models/{line[1]}").status_code == 200
    model = http.get(f"/v1/models/{line[2]}").json()
    assert (model["parent"], model["base_model"], model["checkpoint_step"]) == (line[1], BASE, None)
    listed = {found["id"]: found for found in http.get("/v1/models").json()["data"]}
    assert [listed[line[2]]["parent"], listed[line[0]]["parent"], listed[BASE]["parent"]] == [line[1], None, None]
    jobs: list[dict[str, Any]] = []
    job_id = model["job_id"]
    while job_id is not None:  # through the deleted one, too
        jobs.append(http.get(f"/v1/fine_tuning/jobs/{job_id}").json())
        job_id = jobs[-1]["parent_job_id"]
    assert [(job["seed"], job["model"], job["fine_tuned_model"]) for job in jobs] == [
        (3, line[1], line[2]), (2, line[0], line[1]), (1, BASE, line[0]),
    ]  # fmt: skip
    read = [job["training_file"] for job in jobs] + [jobs[1]["method"]["supervised"]["replay"]["file"]]
    assert {http.get(f"/v1/files/{file_id}").status_code for file_id in read} == {200}
    page = http.get("/v1/fine_tuning/jobs").json()["data"]
    assert [job["parent_job_id"] for job in page] == [jobs[1]["id"], jobs[2]["id"], None]


def test_what_another_project_may_use_does_not_tell_where_it_came_from(
    http: httpx.Client, engine: Engine, project: ProjectKey, make_project: Callable[[str], ProjectKey]
) -> None:
    other = make_project("other")
    with session_scope(engine) as session:
        first = make_model(session, project.owner, model=BASE)
        checkpoint = make_checkpoint(session, project.owner, model=first)
    mine = http.get(f"/v1/models/{checkpoint}").json()
    assert (mine["checkpoint_step"], mine["parent"], mine["project_id"]) == (2, first, project.project_id)
    permissions = f"/v1/fine_tuning/checkpoints/{checkpoint}/permissions"
    http.headers["authorization"], owners = f"Bearer {other.key}", http.headers["authorization"]
    assert http.get(f"/v1/models/{checkpoint}").status_code == 404
    granted = http.post(permissions, json={"project_ids": [other.project_id]}, headers={"authorization": owners})
    assert granted.status_code == 200
    assert http.get(f"/v1/models/{checkpoint}").json()["parent"] is None
    with session_scope(engine) as session:
        job_id = make_job(session, other.owner, model=checkpoint).id
    # Which job made it is told with the checkpoint itself; that job is not shown.
    assert http.get(f"/v1/fine_tuning/jobs/{job_id}").json()["parent_job_id"] == mine["job_id"]
    assert http.get(f"/v1/fine_tuning/jobs/{mine['job_id']}").status_code == 404
    assert all(model["project_id"] is None for model in http.get("/v1/models").json()["data"])


def test_files_of_all_projects_and_of_one(
    served: Served, http: httpx.Client, operator_key: str, project: ProjectKey,
    make_project: Callable[[str], ProjectKey],
) -> None:  # fmt: skip
    other = make_project("other")
    mine = [upload(http).json()["id"], upload(http, purpose="user_data").json()["id"]]
    http.headers["authorization"] = f"Bearer {other.key}"
    theirs = upload(http).json()
    assert theirs["project_id"] == other.project_id
    assert http.get("/v1/files", params={"project_id": project.project_id}).json()["data"] == []
    with Tunesmith(base_url=f"{served.url}/v1", api_key=operator_key) as client:
        assert [file.id for file in client.files.list(limit=2)] == [theirs["id"], mine[1], mine[0]]
        assert [file.id for file in client.files.list(project_id=other.project_id)] == [theirs["id"]]
        assert [file.id for file in client.files.list(purpose="fine-tune", order="asc")] == [mine[0], theirs["id"]]
        assert client.files.retrieve(mine[0]).project_id == project.project_id
