from collections.abc import Callable
from urllib.parse import quote

import httpx
import pytest
from sqlalchemy import Engine

from core.access.service import create_key, ensure_project
from core.db import session_scope
from tests.conftest import ProjectKey
from tests.core.factories import make_checkpoint, make_file

BASE = "/v1/fine_tuning/checkpoints"


@pytest.fixture
def checkpoint(http: httpx.Client, project: ProjectKey, engine: Engine) -> dict[str, str]:
    """A checkpoint of the project `default`, as the API shows it."""
    with session_scope(engine) as session:
        name = make_checkpoint(session, project.owner)
    job_id = http.get(f"/v1/models/{name}").json()["job_id"]
    return http.get(f"/v1/fine_tuning/jobs/{job_id}/checkpoints").json()["data"][0]


@pytest.fixture
def other(make_project: Callable[[str], ProjectKey]) -> ProjectKey:
    return make_project("other")


def as_project(project: ProjectKey) -> dict[str, str]:
    return {"authorization": f"Bearer {project.key}"}


def start(http: httpx.Client, engine: Engine, project: ProjectKey, model: str) -> httpx.Response:
    with session_scope(engine) as session:
        file_id = make_file(session, project.owner).id
    body = {"model": model, "training_file": file_id}
    return http.post("/v1/fine_tuning/jobs", json=body, headers=as_project(project))


def test_a_permission_opens_the_checkpoint_to_another_project_until_it_is_revoked(
    http: httpx.Client, checkpoint: dict[str, str], other: ProjectKey, engine: Engine
) -> None:
    name = checkpoint["fine_tuned_model_checkpoint"]
    assert start(http, engine, other, name).json()["error"]["code"] == "model_not_found"
    assert http.get(f"/v1/models/{name}", headers=as_project(other)).status_code == 404

    page = http.post(f"{BASE}/{name}/permissions", json={"project_ids": [other.project_id]}).json()
    (permission,) = page["data"]
    assert (page["object"], permission["project_id"]) == ("list", other.project_id)
    assert (page["first_id"], page["last_id"], page["has_more"]) == (permission["id"], permission["id"], False)
    job = start(http, engine, other, name).json()
    assert (job["model"], job["base_model"]) == (name, "tiny-random-llama")
    assert http.get(f"/v1/models/{name}", headers=as_project(other)).json()["id"] == name
    # To use is not to own.
    assert http.delete(f"/v1/models/{name}", headers=as_project(other)).status_code == 404
    assert http.get(f"{BASE}/{name}/permissions", headers=as_project(other)).status_code == 404

    gone = http.delete(f"{BASE}/{name}/permissions/{permission['id']}").json()
    assert gone == {"id": permission["id"], "object": "checkpoint.permission", "deleted": True}
    assert start(http, engine, other, name).status_code == 400
    assert http.delete(f"{BASE}/{name}/permissions/{permission['id']}").status_code == 404


@pytest.mark.parametrize("form", ["name", "escaped", "id"])
def test_a_checkpoint_goes_by_its_name_and_by_its_id(
    http: httpx.Client, checkpoint: dict[str, str], other: ProjectKey, form: str
) -> None:
    name = checkpoint["fine_tuned_model_checkpoint"]
    called = {"name": name, "escaped": quote(name, safe=""), "id": checkpoint["id"]}[form]
    made = http.post(f"{BASE}/{called}/permissions", json={"project_ids": [other.project_id]}).json()["data"]
    assert http.get(f"{BASE}/{called}/permissions").json()["data"] == made


def test_granting_again_changes_nothing(http: httpx.Client, checkpoint: dict[str, str], other: ProjectKey) -> None:
    url, body = f"{BASE}/{checkpoint['id']}/permissions", {"project_ids": [other.project_id, other.project_id]}
    first = http.post(url, json=body).json()
    assert http.post(url, json=body).json() == first
    assert len(first["data"]) == 1


def test_pages_run_in_both_orders_and_by_project(
    http: httpx.Client, checkpoint: dict[str, str], make_project: Callable[[str], ProjectKey]
) -> None:
    url = f"{BASE}/{checkpoint['id']}/permissions"
    projects = [make_project(f"p{i}").project_id for i in range(3)]
    made = [http.post(url, json={"project_ids": [id]}).json()["data"][0]["id"] for id in projects]
    for order, expected in (("ascending", made), ("descending", made[::-1])):
        first = http.get(url, params={"limit": 2, "order": order}).json()
        rest = http.get(url, params={"limit": 2, "order": order, "after": first["last_id"]}).json()
        assert [item["id"] for item in first["data"] + rest["data"]] == expected
        assert (first["has_more"], rest["has_more"]) == (True, False)
    assert [item["id"] for item in http.get(url, params={"project_id": projects[1]}).json()["data"]] == [made[1]]


def test_who_may_grant_and_to_whom(
    http: httpx.Client, checkpoint: dict[str, str], other: ProjectKey, operator_key: str, engine: Engine
) -> None:
    url, body = f"{BASE}/{checkpoint['id']}/permissions", {"project_ids": [other.project_id]}
    assert http.post(url, json=body, headers=as_project(other)).status_code == 404
    with session_scope(engine) as session:
        stranger = ensure_project(session, organization="elsewhere", project="default").id
        create_key(session, project_id=stranger, name="test")
    for ids in ([other.project_id, stranger], ["proj_x"]):
        refused = http.post(url, json={"project_ids": ids})
        assert (refused.status_code, refused.json()["error"]["code"]) == (404, "not_found")
    assert http.get(url).json()["data"] == []
    assert http.post(url, json=body, headers={"authorization": f"Bearer {operator_key}"}).status_code == 200
