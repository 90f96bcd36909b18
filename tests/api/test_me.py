"""Who a key speaks for, and which projects it sees; through the API, and through the SDK."""

import asyncio
from collections.abc import Callable

import httpx
import pytest
from tunesmith import AsyncTunesmith, Tunesmith

from tests.api.conftest import Served
from tests.conftest import ProjectKey


@pytest.fixture
def other(make_project: Callable[[str], ProjectKey]) -> ProjectKey:
    return make_project("other")


def test_a_key_is_told_what_it_is(http: httpx.Client, project: ProjectKey, operator_key: str) -> None:
    assert http.get("/v1/me").json() == {
        "object": "api_key",
        "id": project.owner.key_id,
        "name": "test",
        "operator": False,
        "organization": "tunesmith",
        "project": {"id": project.project_id, "name": "default"},
    }
    operator = http.get("/v1/me", headers={"authorization": f"Bearer {operator_key}"}).json()
    assert operator.pop("id").startswith("key_")
    assert operator == {
        "object": "api_key", "name": "operator", "operator": True, "organization": None, "project": None,
    }  # fmt: skip


def test_a_project_sees_itself_and_an_operator_all(
    http: httpx.Client, project: ProjectKey, other: ProjectKey, operator_key: str
) -> None:
    (own,) = http.get("/v1/projects").json()["data"]
    assert own.pop("created_at") > 0
    assert own == {"id": project.project_id, "object": "project", "name": "default", "organization": "tunesmith"}
    everybody = http.get("/v1/projects", headers={"authorization": f"Bearer {operator_key}"}).json()["data"]
    assert [found["id"] for found in everybody] == [project.project_id, other.project_id]


def test_the_sdk_knows_both(served: Served, project: ProjectKey, other: ProjectKey, operator_key: str) -> None:
    with Tunesmith(base_url=f"{served.url}/v1", api_key=project.key) as client:
        key = client.me()
        assert key.project is not None
        assert (key.operator, key.project.name, key.organization) == (False, "default", "tunesmith")
        assert [found.id for found in client.projects.list()] == [project.project_id]

    async def as_operator() -> list[str]:
        async with AsyncTunesmith(base_url=f"{served.url}/v1", api_key=operator_key) as client:
            assert (await client.me()).operator
            return [found.name async for found in client.projects.list()]

    assert asyncio.run(as_operator()) == ["default", "other"]
