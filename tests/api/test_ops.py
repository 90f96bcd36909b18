"""What operators see, and nobody else."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine, event, text
from tunesmith import Tunesmith

from api.monitoring import RequestMetrics, exposition
from core.access.owner import Owner
from core.db import session_scope
from core.jobs import claims, publishing
from core.models import Job
from core.retention import purge_deleted_files
from core.specs.run import MetricsEvent
from core.storage import Storage
from core.workers import repository as workers
from tests.api.conftest import Served
from tests.conftest import ProjectKey
from tests.core.factories import make_file, make_job

STORED = ", ".join(column.name for column in Job.__table__.columns if column.computed is None)
MANY_JOBS = f"""
INSERT INTO jobs ({STORED}) SELECT {STORED} FROM (
    SELECT made.* FROM jobs, generate_series(1, 20000) AS n, LATERAL jsonb_populate_record(
        jobs, jsonb_build_object('id', 'ftjob-' || n, 'status', 'succeeded')
    ) AS made WHERE jobs.id = :id
) AS made
"""
MANY_ATTEMPTS = """
INSERT INTO attempts (token, job_id, worker_id, started_at, ended_at, outcome)
SELECT 1000000 + n, 'ftjob-' || n, 'w', now(), now(), 'succeeded' FROM generate_series(1, 20000) AS n
"""


@pytest.fixture
def operator(http: httpx.Client, operator_key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {operator_key}"}


@pytest.fixture
def busy(engine: Engine, project: ProjectKey) -> tuple[str, str]:
    """One job runs, one is queued, one file waits; answers the ids of the jobs."""
    with session_scope(engine) as session:
        jobs = [make_job(session, project.owner) for _ in range(2)]
        make_file(session, project.owner, status="uploaded")
        running = claims.claim(session, worker_id="train@a", devices=0, lease=600)
        assert running is not None
        session.flush()
        report: dict[str, Any] = {"queue": "train", "slots": 1, "devices": [], "current_attempts": [running.token]}
        sizes = {"memory_bytes": 8000, "resident_bytes": 5000, "disk": (100, 40)}
        workers.report(session, worker_id="train@a", host="a.example", **report, **sizes)
        step = MetricsEvent(
            step=3, total_steps=9, trained_tokens=5, seconds_left=90.0, message="m", data={"train_loss": 2.5}
        )
        publishing.record(session, token=running.token or 0, lease=600, start=0, events=[step])
        return running.id, next(job.id for job in jobs if job.id != running.id)


def test_an_event_of_a_step_tells_the_time_that_is_left(http: httpx.Client, busy: tuple[str, str]) -> None:
    event, *_ = http.get(f"/v1/fine_tuning/jobs/{busy[0]}/events").json()["data"]
    assert event["data"] == {"step": 3, "total_steps": 9, "train_loss": 2.5, "seconds_left": 90.0}
    series = http.get(f"/v1/fine_tuning/jobs/{busy[0]}/metrics").json()["series"]
    assert series.keys() == {"train_loss"}


def test_workers_and_queues(http: httpx.Client, operator: dict[str, str], busy: tuple[str, str]) -> None:
    (worker,) = http.get("/v1/ops/workers", headers=operator).json()["data"]
    assert (worker["id"], worker["alive"], worker["attempts"][0]["job_id"]) == ("train@a", True, busy[0])
    assert {key: worker[key] for key in ("host", "memory_bytes", "slot_memory_bytes", "disk_bytes", "devices")} == {
        "host": "a.example", "memory_bytes": 5000, "slot_memory_bytes": 8000, "disk_bytes": 100, "devices": [],
    }  # fmt: skip
    answer = http.get("/v1/ops/queue", headers=operator).json()
    counts = {queue["id"]: (queue["depth"], queue["running"]) for queue in answer["data"]}
    assert counts == {"train": (1, 1), "cpu": (1, 0), "webhooks": (0, 0)}
    assert all(queue["oldest_wait"] >= 0 for queue in answer["data"])
    assert answer["jobs"] == {"paused": 0, "pausing": 0, "queued": 1, "running": 1, "validating_files": 0}


def test_the_sdk_shows_workers_and_queues(served: Served, busy: tuple[str, str], operator_key: str) -> None:
    with Tunesmith(base_url=f"{served.url}/v1", api_key=operator_key) as client:
        (worker,) = client.ops.workers()
        assert (worker.host, worker.memory_bytes, worker.slot_memory_bytes) == ("a.example", 5000, 8000)
        assert (worker.slots, worker.disk_bytes, worker.disk_free_bytes) == (1, 100, 40)
        assert (worker.started_at or 0) > 0
        assert [attempt.job_id for attempt in worker.attempts] == [busy[0]]
        assert {queue.id: queue.running for queue in client.ops.queues()} == {"train": 1, "cpu": 0, "webhooks": 0}


def test_a_file_that_was_deleted_before_its_validation_waits_for_nobody(
    http: httpx.Client, operator: dict[str, str], project: ProjectKey, engine: Engine, storage: Storage
) -> None:
    with session_scope(engine) as session:
        file_id = make_file(session, project.owner, status="uploaded").id

    def waiting() -> tuple[int, bool]:
        queues = http.get("/v1/ops/queue", headers=operator).json()["data"]
        cpu = next(queue for queue in queues if queue["id"] == "cpu")
        return cpu["depth"], cpu["oldest_wait"] > 0

    assert waiting() == (1, True)
    assert http.delete(f"/v1/files/{file_id}").status_code == 200
    assert waiting() == (1, True)  # jobs may wait for it as long as its bytes are there
    purge_deleted_files(engine, storage)
    assert waiting() == (0, False)


def test_webhooks_wait_in_a_queue_of_their_own(
    http: httpx.Client, operator: dict[str, str], busy: tuple[str, str]
) -> None:
    endpoint = {"name": "n", "url": "https://receiver.example/hook", "event_types": ["fine_tuning.job.cancelled"]}
    assert http.post("/v1/webhook_endpoints", json=endpoint).status_code == 200
    assert http.post(f"/v1/fine_tuning/jobs/{busy[1]}/cancel").status_code == 200
    found = {queue["id"]: queue for queue in http.get("/v1/ops/queue", headers=operator).json()["data"]}
    assert [(found[name]["depth"], found[name]["running"]) for name in ("train", "webhooks")] == [(0, 1), (1, 0)]
    scraped = http.get("/metrics", headers=operator).text
    assert 'tunesmith_queue_depth{queue="webhooks"} 1.0' in scraped


def test_jobs_of_all_projects_and_of_one(
    http: httpx.Client, operator: dict[str, str], busy: tuple[str, str], engine: Engine,
    make_project: Callable[[str], ProjectKey],
) -> None:  # fmt: skip
    other = make_project("other")
    with session_scope(engine) as session:
        theirs = make_job(session, other.owner).id
    ids = lambda **query: {  # noqa: E731
        job["id"] for job in http.get("/v1/fine_tuning/jobs", headers=operator, params=query).json()["data"]
    }
    assert ids() == {*busy, theirs}
    assert ids(project_id=other.project_id) == {theirs}


@pytest.mark.parametrize("path", ["/v1/ops/workers", "/v1/ops/queue", "/metrics"])
def test_a_projects_key_is_refused(http: httpx.Client, path: str) -> None:
    answer = http.get(path)
    assert (answer.status_code, answer.json()["error"]["type"]) == (403, "permission_error")


def test_prometheus(http: httpx.Client, operator: dict[str, str], busy: tuple[str, str]) -> None:
    assert http.get(f"/v1/fine_tuning/jobs/{busy[0]}").status_code == 200
    for word in ("PROPFIND", "MKCOL"):
        assert http.request(word, "/v1/files").status_code == 405
    text = http.get("/metrics", headers=operator).text
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["tunesmith_jobs", "running"] == 1
    assert samples["tunesmith_queue_depth", "train"] == 1
    assert samples["tunesmith_workers_alive", "train"] == 1
    assert samples["tunesmith_http_requests_total", "/fine_tuning/jobs/{job_id}", "200", "GET"] >= 1
    assert sum(value for key, value in samples.items() if key[0].endswith("requests_total") and "other" in key) >= 2
    assert not any(word in text for word in (busy[0], "PROPFIND", "MKCOL"))


def test_a_job_says_where_it_stands(http: httpx.Client, busy: tuple[str, str]) -> None:
    running, queued = (http.get(f"/v1/fine_tuning/jobs/{job_id}").json() for job_id in busy)
    assert (running["queue_position"], running["seconds_left"] > 80) == (None, True)
    assert (queued["queue_position"], queued["seconds_left"]) == (1, None)
    assert queued["usage"] == {
        "cpu_seconds": 0.0, "gpu_seconds": 0.0, "trained_tokens": 0, "input_bytes": 3, "output_bytes": 0,
        "cost": None,
    }  # fmt: skip
    series = http.get(f"/v1/fine_tuning/jobs/{busy[0]}/metrics").json()["series"]
    assert series == {"train_loss": {"steps": [3], "values": [2.5]}}


@pytest.mark.parametrize(
    ("params", "count"),
    [
        ({"status": "queued"}, 1),
        ({"status": "running"}, 1),
        ({"method": "supervised"}, 2),
        ({"method": "dpo"}, 0),
        ({"model": "tiny-random-llama"}, 2),
        ({"model": "other"}, 0),
        ({"project_id": "proj_x"}, 0),
    ],
)
def test_jobs_are_narrowed_down(http: httpx.Client, busy: tuple[str, str], params: dict[str, str], count: int) -> None:
    assert len(http.get("/v1/fine_tuning/jobs", params=params).json()["data"]) == count


def test_an_unknown_status_is_refused(http: httpx.Client) -> None:
    error = http.get("/v1/fine_tuning/jobs", params={"status": "done"}).json()["error"]
    assert error["param"] == "status"


def test_a_scrape_reads_few_rows_however_many_there_are(
    http: httpx.Client, operator: dict[str, str], busy: tuple[str, str], engine: Engine
) -> None:
    """20,000 jobs that have ended, each with an attempt: counted are the rows that its queries touch."""
    with engine.begin() as connection:
        connection.execute(text(MANY_JOBS), {"id": busy[1]})
        connection.execute(text(MANY_ATTEMPTS))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE jobs, attempts"))
    statements: list[tuple[str, Any]] = []

    def note(_: object, __: object, statement: str, parameters: Any, *___: object) -> None:
        statements.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    try:
        with session_scope(engine) as session:
            exposition(RequestMetrics(), session, owner=Owner("", None), lease=5)
    finally:
        event.remove(engine, "before_cursor_execute", note)
    queries = [(statement, parameters) for statement, parameters in statements if "FROM" in statement]
    assert len(queries) >= 8
    with engine.connect() as connection:
        for statement, parameters in queries:
            plan = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters).scalar()
            assert touched(plan[0]["Plan"]) < 100, statement


def touched(node: dict[str, Any]) -> float:
    own = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
    return (own if "Scan" in node["Node Type"] else 0) + sum(map(touched, node.get("Plans", [])))
