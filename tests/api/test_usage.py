from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from core.db import session_scope
from tests.conftest import ProjectKey
from tests.core.factories import make_job

TODAY = datetime.now(UTC).replace(hour=12)


def spend(engine: Engine, project: ProjectKey, *, days_ago: int, seconds: float, tokens: int) -> None:
    with session_scope(engine) as session:
        job = make_job(session, project.owner)
        job.created_at = TODAY - timedelta(days=days_ago)
        job.cpu_seconds, job.trained_tokens = seconds, tokens


@pytest.fixture
def spent(engine: Engine, project: ProjectKey, make_project: Callable[[str], ProjectKey]) -> ProjectKey:
    spend(engine, project, days_ago=0, seconds=1.5, tokens=10)
    spend(engine, project, days_ago=0, seconds=2.0, tokens=20)
    spend(engine, project, days_ago=1, seconds=4.0, tokens=40)
    other = make_project("other")
    spend(engine, other, days_ago=0, seconds=100.0, tokens=1000)
    return other


def usage(http: httpx.Client, **params: Any) -> list[dict[str, Any]]:
    answer = http.get("/v1/usage", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def test_days_are_summed_and_other_projects_left_out(http: httpx.Client, spent: ProjectKey) -> None:
    rows = usage(http)
    assert [(row["day"], row["jobs"], row["cpu_seconds"], row["trained_tokens"]) for row in rows] == [
        (str((TODAY - timedelta(days=1)).date()), 1, 4.0, 40),
        (str(TODAY.date()), 2, 3.5, 30),
    ]
    assert {row["model"] for row in rows} == {"tiny-random-llama"}
    assert {row["api_key_id"] for row in rows} == {None}


def test_an_operator_sees_all_projects_and_keys(http: httpx.Client, spent: ProjectKey, operator_key: str) -> None:
    http.headers["authorization"] = f"Bearer {operator_key}"
    (total,) = usage(http, group_by="")
    assert (total["jobs"], total["cpu_seconds"]) == (4, 107.5)
    by_key = usage(http, group_by="project,key")
    assert {(row["project_id"], row["jobs"]) for row in by_key} >= {(spent.project_id, 1)}
    assert len({row["api_key_id"] for row in by_key}) == 2


def test_a_span_of_time(http: httpx.Client, spent: ProjectKey) -> None:
    midnight = int(TODAY.replace(hour=0, minute=0, second=0, microsecond=0).timestamp())
    assert [row["jobs"] for row in usage(http, start_time=midnight)] == [2]
    assert [row["jobs"] for row in usage(http, end_time=midnight)] == [1]


def test_unknown_groups_are_refused(http: httpx.Client) -> None:
    error = http.get("/v1/usage", params={"group_by": "day,colour"}).json()["error"]
    assert (error["param"], error["message"]) == (
        "group_by",
        "group_by: must be one of day, key, model, project; given 'colour'",
    )
