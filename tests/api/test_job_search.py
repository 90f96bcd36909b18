"""Lists of jobs by a part of what they are, by several states and methods: API, SDK and command line."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine
from tunesmith import AsyncTunesmith, Tunesmith

from core.db import session_scope
from core.jobs import service as jobs
from core.jobs.lifecycle import transition
from core.jobs.states import FAILED
from tests.api.conftest import Served
from tests.conftest import ProjectKey
from tests.core.factories import make_job, make_model

ERROR = {"code": "out_of_memory", "message": "The trainer took 4 GB", "param": None}


@pytest.fixture
def named(engine: Engine, project: ProjectKey, make_project: Callable[[str], ProjectKey]) -> dict[str, str]:
    """Ids of jobs by the names that the tests give them; `theirs` is another project's."""
    with session_scope(engine) as session:
        made = make_model(session, project.owner, model="tiny-random-llama", suffix="Made")
        ids = {"made": jobs.repository.jobs(
            session, owner=project.owner, wanted=jobs.repository.JobFilter(), after=None, limit=1
        ).items[0].id}  # fmt: skip
        failing = make_job(session, project.owner, metadata={"team": "Docs 100%", "n": "a_b"})
        transition(session, failing, FAILED, reason="m", message="m", level="error", error=ERROR)
        ids["failed"] = failing.id
        body: dict[str, Any] = {"type": "dpo", "dpo": {}}
        ids["dpo"] = make_job(session, project.owner, method=body, metadata={"team": "x", "note": 'a\\"b'}).id
        ids["next"] = make_job(session, project.owner, model=made).id
        ids["theirs"] = make_job(session, make_project("other").owner, metadata={"team": "Docs 100%"}).id
    return ids


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"search": "made"}, {"made", "next"}),
        ({"search": "FT:TINY"}, {"made", "next"}),
        ({"search": "tiny-random"}, {"made", "failed", "dpo", "next"}),
        ({"search": "docs"}, {"failed"}),
        ({"search": "100%"}, {"failed"}),
        ({"search": "a_b"}, {"failed"}),
        ({"search": "a%b"}, set()),
        ({"search": "_"}, {"failed"}),
        ({"search": '\\"'}, {"dpo"}),
        ({"search": "took 4 gb"}, {"failed"}),
        ({"search": "team"}, set()),  # a key of the metadata is none of its values
        ({"search": "docs", "status": "queued"}, set()),
        ({"status": "queued,failed"}, {"failed", "dpo", "next"}),
        ({"status": "succeeded, failed"}, {"made", "failed"}),
        ({"method": "dpo,kto"}, {"dpo"}),
        ({"method": "dpo,supervised", "status": "queued"}, {"dpo", "next"}),
    ],
)
def test_what_is_found(http: httpx.Client, named: dict[str, str], query: dict[str, str], found: set[str]) -> None:
    listed = http.get("/v1/fine_tuning/jobs", params=query).json()["data"]
    names = {job_id: name for name, job_id in named.items()}
    assert {names[job["id"]] for job in listed} == found


def test_a_part_of_an_id_finds_its_job_and_nobody_elses(
    http: httpx.Client, named: dict[str, str], operator_key: str, make_project: Callable[[str], ProjectKey]
) -> None:
    def search(text: str, **more: str) -> list[str]:
        found = http.get("/v1/fine_tuning/jobs", params={"search": text, **more}).json()["data"]
        return [job["id"] for job in found]

    assert search(named["dpo"][-12:].swapcase()) == [named["dpo"]]
    assert search(named["theirs"]) == []
    other = make_project("other").project_id
    assert search("docs", project_id=other) == []
    http.headers["authorization"] = f"Bearer {operator_key}"
    assert search("docs") == [named["theirs"], named["failed"]]
    assert search("docs", project_id=other) == [named["theirs"]]


def test_pages_of_what_is_found(http: httpx.Client, named: dict[str, str]) -> None:
    first = http.get("/v1/fine_tuning/jobs", params={"search": "tiny", "limit": 3}).json()
    rest = http.get("/v1/fine_tuning/jobs", params={"search": "tiny", "after": first["data"][-1]["id"]}).json()
    assert [job["id"] for job in first["data"] + rest["data"]] == [
        named[name] for name in ("next", "dpo", "failed", "made")
    ]
    assert (first["has_more"], rest["has_more"]) == (True, False)


@pytest.mark.parametrize(
    ("query", "param", "says"),
    [
        ({"status": "running,done"}, "status", "queued, running"),
        ({"status": "running,"}, "status", "given ''"),
        ({"method": "magic"}, "method", "initialization, kto"),
        ({"search": "x" * 101}, "search", "at most 100"),
        ({"search": ""}, "search", "at least 1"),
    ],
)
def test_what_is_refused(http: httpx.Client, query: dict[str, str], param: str, says: str) -> None:
    answer = http.get("/v1/fine_tuning/jobs", params=query)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert says in answer.json()["error"]["message"]


def test_the_sdk_and_the_command_line(served: Served, project: ProjectKey, named: dict[str, str]) -> None:
    with Tunesmith(base_url=f"{served.url}/v1", api_key=project.key) as client:
        listed = client.fine_tuning.jobs.list(status=["queued", "failed"], search="tiny", method="supervised").data
        assert [job.id for job in listed] == [named["next"], named["failed"]]
        assert {job.project_id for job in listed} == {project.project_id}

    async def twin() -> list[str]:
        async with AsyncTunesmith(base_url=f"{served.url}/v1", api_key=project.key) as client:
            found = client.fine_tuning.jobs.list(status="queued", method=["dpo", "kto"], project_id=project.project_id)
            return [job.id async for job in found]

    assert asyncio.run(twin()) == [named["dpo"]]
    env = {**os.environ, "TUNESMITH_BASE_URL": f"{served.url}/v1", "TUNESMITH_API_KEY": project.key}
    options = ["--status", "failed", "--status", "queued", "--search", "docs", "--model", "tiny-random-llama"]
    command = [sys.executable, "-m", "tunesmith", "--format", "json", "jobs", "list", *options]
    shown = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
    assert [job["id"] for job in json.loads(shown)] == [named["failed"]]
