"""How things stand: for a project, for an operator, and while services are away."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, event, text
from tunesmith import AsyncTunesmith, Tunesmith

from core.access.owner import Owner
from core.db import session_scope
from core.jobs import claims, publishing
from core.jobs import service as jobs
from core.jobs.lifecycle import transition
from core.jobs.states import FAILED
from core.overview import repository
from core.settings import Settings
from embedded.ports import free_ports
from tests.api.conftest import Served, serve
from tests.api.test_ops import MANY_ATTEMPTS, MANY_JOBS, touched
from tests.conftest import ProjectKey
from tests.core.factories import make_job

LONG_AGO = "UPDATE jobs SET created_at = now() - interval '30 h', started_at = now() - interval '29 h'"


ATTEMPT = """
INSERT INTO attempts (token, job_id, worker_id, started_at, ended_at, gpu_seconds, cpu_seconds)
SELECT :token, :job, 'w', began, ended, 2 * lasted, lasted / 2 FROM (
    SELECT began, ended, extract(epoch FROM coalesce(ended, now()) - began) AS lasted FROM (
        SELECT now() - cast(:began AS interval) AS began, now() - cast(:ended AS interval) AS ended
    ) AS times
) AS attempt
"""


def fail(engine: Engine, owner: Owner, code: str, message: str, *, param: str | None = None) -> str:
    with session_scope(engine) as session:
        job = make_job(session, owner)
        error = {"code": code, "message": message, "param": param}
        transition(session, job, FAILED, reason=message, message=message, level="error", error=error)
        return job.id


@pytest.fixture
def theirs(engine: Engine, make_project: Callable[[str], ProjectKey]) -> str:
    """A failure of another project; answers that project's id."""
    other = make_project("other")
    fail(engine, other.owner, "diverged", "theirs")
    return other.project_id


@pytest.fixture
def busy(engine: Engine, project: ProjectKey, theirs: str) -> str:
    """Of a job in most states one, and of failures three; answers the latest."""
    fail(engine, project.owner, "invalid_file", "the first", param="training_file")
    fail(engine, project.owner, "out_of_memory", "the second")
    latest = fail(engine, project.owner, "invalid_file", "the third", param="validation_file")
    with session_scope(engine) as session:
        running, _, paused, gone = (make_job(session, project.owner) for _ in range(4))
        jobs.pause(session, owner=project.owner, job_id=paused.id)
        jobs.cancel(session, owner=project.owner, job_id=gone.id)
        assert claims.claim(session, worker_id="w", devices=0, lease=600) is running
        cost = publishing.Cost(gpu_seconds=2.5, cpu_seconds=7.0)
        publishing.heartbeat(session, token=running.token or 0, lease=600, cost=cost)
    return latest


def test_a_project_sees_its_own_jobs(http: httpx.Client, project: ProjectKey, busy: str) -> None:
    found = http.get("/v1/overview").json()
    invalid, memory = found.pop("failures")
    assert invalid.pop("latest_at") > 0
    assert invalid == {
        "code": "invalid_file", "param": "validation_file", "count": 2, "latest_job_id": busy, "message": "the third",
    }  # fmt: skip
    assert (memory["code"], memory["count"], memory["param"]) == ("out_of_memory", 1, None)
    assert found["queue"].pop("oldest_wait") >= 0
    assert found == {
        "object": "overview",
        "hours": 24,
        "jobs": {"paused": 1, "pausing": 0, "queued": 1, "running": 1, "validating_files": 0},
        "finished": {"cancelled": 1, "failed": 3, "succeeded": 0},
        "queue": {"depth": 1},
        "usage": [
            {"project_id": project.project_id, "project": "default", "gpu_seconds": 2.5, "cpu_seconds": 7.0, "jobs": 1}
        ],
        "services": {"database": "ok", "broker": "ok", "storage": "ok"},
    }


def test_an_operator_sees_all_projects(
    http: httpx.Client, engine: Engine, busy: str, theirs: str, operator_key: str
) -> None:
    with engine.begin() as connection:
        job_id = connection.execute(text("SELECT id FROM jobs WHERE project_id = :id"), {"id": theirs}).scalar()
        connection.execute(text(ATTEMPT), {"token": 0, "job": job_id, "began": "2 h", "ended": "1 h"})
    found = http.get("/v1/overview", headers={"authorization": f"Bearer {operator_key}"}).json()
    assert {failure["code"]: failure["count"] for failure in found["failures"]} == {
        "invalid_file": 2, "out_of_memory": 1, "diverged": 1,
    }  # fmt: skip
    assert [(row["project"], row["jobs"]) for row in found["usage"]] == [("other", 1), ("default", 1)]
    assert found["usage"][0]["project_id"] == theirs
    assert found["finished"]["failed"] == 4


def test_what_has_ended_before_is_left_out(http: httpx.Client, engine: Engine, project: ProjectKey, busy: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(LONG_AGO))
        connection.execute(text("UPDATE jobs SET finished_at = created_at WHERE error ->> 'message' != 'the third'"))
    day, week = http.get("/v1/overview").json(), http.get("/v1/overview", params={"hours": 168}).json()
    assert [(failure["code"], failure["count"]) for failure in day["failures"]] == [("invalid_file", 1)]
    assert (day["finished"]["failed"], week["finished"]["failed"]) == (1, 3)
    assert day["queue"]["depth"] == 1


ATTEMPTS = (  # how long ago each began and ended
    ("20 h", "16 h"),
    ("30 h", "18 h"),
    ("48 h", None),  # it runs
    ("50 h", "25 h"),
)


def test_use_is_of_the_hours_that_are_asked_for(http: httpx.Client, engine: Engine, project: ProjectKey) -> None:
    """Each attempt holds two GPUs all the time, and half a CPU."""
    with session_scope(engine) as session:
        job_id = make_job(session, project.owner).id
        for token, (began, ended) in enumerate(ATTEMPTS, 1):
            session.execute(text(ATTEMPT), {"token": token, "job": job_id, "began": began, "ended": ended})
    for hours, used in ((24, 4 + 6 + 24), (744, 4 + 12 + 48 + 25)):
        (row,) = http.get("/v1/overview", params={"hours": hours}).json()["usage"]
        assert row["jobs"] == 1
        assert row["gpu_seconds"] == pytest.approx(2 * 3600 * used, rel=1e-4)
        assert row["cpu_seconds"] == pytest.approx(1800 * used, rel=1e-4)


def test_a_job_waits_since_it_was_last_queued(
    http: httpx.Client, engine: Engine, project: ProjectKey, operator_key: str
) -> None:
    with session_scope(engine) as session:
        job_id = make_job(session, project.owner).id
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE jobs SET created_at = now() - interval '7 d', queued_at = now() - interval '2 h'")
        )

    def waits() -> list[float]:
        found = http.get("/v1/ops/queue", headers={"authorization": f"Bearer {operator_key}"}).json()["data"]
        own = http.get("/v1/overview").json()["queue"]["oldest_wait"]
        return [own, next(queue["oldest_wait"] for queue in found if queue["id"] == "train")]

    assert [round(wait / 3600) for wait in waits()] == [2, 2]
    for act in ("pause", "resume"):
        assert http.post(f"/v1/fine_tuning/jobs/{job_id}/{act}").status_code == 200
    assert [round(wait / 3600) for wait in waits()] == [0, 0]


@pytest.mark.parametrize("hours", ["0", "745", "x"])
def test_hours_out_of_bounds_are_refused(http: httpx.Client, hours: str) -> None:
    answer = http.get("/v1/overview", params={"hours": hours})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "hours")


def test_services_that_are_away_are_named(settings: Settings, project: ProjectKey) -> None:
    """Nobody listens at the broker's port, and the store takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        away: dict[str, Any] = {
            "redis_url": SecretStr(f"redis://127.0.0.1:{free_ports(1)[0]}/0"),
            "s3_endpoint_url": f"http://127.0.0.1:{silent.getsockname()[1]}",
        }
        with serve(settings.model_copy(update=away)) as served:
            headers = {"authorization": f"Bearer {project.key}"}
            with httpx.Client(base_url=served.url, headers=headers, transport=httpx.HTTPTransport(retries=20)) as http:
                answer = http.get("/v1/overview", timeout=30)
    assert answer.status_code == 200
    services = {"database": "ok", "broker": "ConnectionError", "storage": "ReadTimeoutError"}
    assert answer.json()["services"] == services


def test_few_rows_are_read_however_many_there_are(engine: Engine, project: ProjectKey, busy: str) -> None:
    """20,000 jobs that ended long ago, each after an attempt."""
    with engine.begin() as connection:
        connection.execute(text(MANY_JOBS), {"id": busy})
        old = "UPDATE jobs SET created_at = now() - interval '90 d', finished_at = now() - interval '89 d'"
        connection.execute(text(f"{old} WHERE status = 'succeeded'"))
        connection.execute(text(MANY_ATTEMPTS))
        long_ago = "started_at = now() - interval '90 d', ended_at = now() - interval '89 d'"
        connection.execute(text(f"UPDATE attempts SET {long_ago} WHERE ended_at IS NOT NULL"))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE jobs, attempts"))
    statements: list[tuple[str, Any]] = []

    def note(_: object, __: object, statement: str, parameters: Any, *___: object) -> None:
        statements.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    try:
        with session_scope(engine) as session:
            for owner in (project.owner, Owner("key_operator", None)):
                repository.unfinished(session, owner=owner)
                repository.finished(session, owner=owner, hours=24)
                repository.failures(session, owner=owner, hours=24)
                repository.queue(session, owner=owner)
                repository.usage(session, owner=owner, hours=24)
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert len(statements) == 10
    with engine.connect() as connection:
        for statement, parameters in statements:
            plan = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters).scalar()
            assert touched(plan[0]["Plan"]) < 100, statement


def test_the_sdk_shows_it(served: Served, project: ProjectKey, busy: str) -> None:
    with Tunesmith(base_url=f"{served.url}/v1", api_key=project.key) as client:
        found = client.overview()
        assert (found.queue.depth, found.failures[0].latest_job_id) == (1, busy)

    async def twin() -> list[str]:
        async with AsyncTunesmith(base_url=f"{served.url}/v1", api_key=project.key) as client:
            found = await client.overview(hours=1)
            return [used.project for used in found.usage if found.services["database"] == "ok"]

    assert asyncio.run(twin()) == ["default"]
