"""Lists of models: whole, as clients of the hosted API ask for them, and in pages, narrowed down."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine
from tunesmith import BadRequestError, Tunesmith

from core.db import session_scope
from tests.api.conftest import Served
from tests.conftest import ProjectKey
from tests.core.factories import make_model

BASE = "tiny-random-llama"


@pytest.fixture
def made(engine: Engine, project: ProjectKey) -> list[str]:
    """Names of three models, newest first."""
    with session_scope(engine) as session:
        return [make_model(session, project.owner, model=BASE, seed=seed) for seed in range(3)][::-1]


def ids(http: httpx.Client, **query: Any) -> tuple[list[str], bool]:
    page = http.get("/v1/models", params=query).json()
    return [model["id"] for model in page["data"]], page["has_more"]


def test_pages_have_each_model_once(http: httpx.Client, made: list[str]) -> None:
    bases = ids(http, kind="base")[0]
    assert BASE in bases
    assert ids(http) == ([*bases, *made], False)
    assert ids(http, limit=2) == ([*bases, *made[:2]], True)
    assert ids(http, limit=2, after=made[1]) == (made[2:], False)
    assert ids(http, kind="fine_tuned", limit=3) == (made, False)


def test_a_search_finds_parts_of_names_and_jobs(http: httpx.Client, made: list[str]) -> None:
    job_id = http.get(f"/v1/models/{made[1]}").json()["job_id"]
    assert ids(http, search=job_id) == ([made[1]], False)
    assert ids(http, search=BASE.upper(), limit=1) == ([BASE, made[0]], True)
    assert ids(http, search="%") == ([], False)
    assert ids(http, search=BASE, kind="reward_model") == ([], False)


def test_of_another_project_nothing_is_found(
    served: Served, made: list[str], make_project: Callable[[str], ProjectKey]
) -> None:
    with Tunesmith(base_url=f"{served.url}/v1", api_key=make_project("other").key) as other:
        assert not {model.id for model in other.models.list(search=BASE, limit=10)} & set(made)
        with pytest.raises(BadRequestError, match="after: no such item"):
            list(other.models.list(after=made[0]))


@pytest.mark.parametrize("query", [{"kind": "best"}, {"limit": 0}, {"search": ""}, {"after": "ft:nothing"}])
def test_what_no_list_can_be_asked_is_refused_by_key(http: httpx.Client, query: dict[str, Any]) -> None:
    answer = http.get("/v1/models", params=query)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == next(iter(query))
