"""Whose a job is, what it costs, who tried it, and what goes on from it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable

import httpx
import pytest
from sqlalchemy import Engine, func, select, text, update
from tunesmith import Tunesmith

from core.db import session_scope
from core.jobs import claims
from core.jobs.lifecycle import transition
from core.jobs.states import QUEUED
from core.models import ApiKey, Attempt, Job
from core.settings import Settings
from core.usage.cost import costs
from tests.api.conftest import Served
from tests.conftest import ProjectKey
from tests.core.factories import make_checkpoint, make_job, make_model

BASE = "tiny-random-llama"


@pytest.fixture
def tried(engine: Engine, project: ProjectKey) -> str:
    """A job at its second attempt: the first one was lost after an hour on a CPU slot."""
    with session_scope(engine) as session:
        job = make_job(session, project.owner)
        assert claims.claim(session, worker_id="host-1", devices=0, lease=3600) is job
        claims.end_attempt(session, token=job.token or 0, outcome="lost", detail="it fell silent")
        hour = text("interval '1 hour'")
        session.execute(update(Attempt).values(started_at=func.now() - hour - hour, ended_at=func.now() - hour))
        transition(session, job, QUEUED, reason="lost", message="lost")
        assert claims.claim(session, worker_id="host-2", devices=0, lease=3600) is job
        return job.id


def test_the_attempts_tell_who_tried_and_how_it_ended(
    served: Served, http: httpx.Client, project: ProjectKey, make_project: Callable[[str], ProjectKey], tried: str
) -> None:
    path = f"/v1/fine_tuning/jobs/{tried}/attempts"
    second, first = http.get(path).json()["data"]
    assert (second["number"], second["worker"], second["outcome"], second["ended_at"]) == (2, "host-2", None, None)
    assert (first["number"], first["outcome"], first["detail"]) == (1, "lost", "it fell silent")
    assert first["ended_at"] - first["started_at"] == 3600
    page = http.get(path, params={"limit": 1}).json()
    assert (page["has_more"], page["last_id"]) == (True, second["id"])
    assert http.get(path, params={"after": page["last_id"]}).json()["data"] == [first]
    other = {"authorization": f"Bearer {make_project('other').key}"}
    assert http.get(path, headers=other).status_code == 404
    with Tunesmith(base_url=f"{served.url}/v1", api_key=project.key) as client:
        assert [attempt.number for attempt in client.fine_tuning.jobs.attempts.list(tried, limit=1)] == [2, 1]
    env = {**os.environ, "TUNESMITH_BASE_URL": f"{served.url}/v1", "TUNESMITH_API_KEY": project.key}
    command = [sys.executable, "-m", "tunesmith", "--format", "json", "jobs", "attempts", tried]
    shown = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
    assert [attempt["worker"] for attempt in json.loads(shown)] == ["host-2", "host-1"]


def test_a_job_tells_which_key_made_it(http: httpx.Client, engine: Engine, project: ProjectKey, tried: str) -> None:
    with session_scope(engine) as session:
        name = session.scalars(select(ApiKey.name).where(ApiKey.id == project.owner.key_id)).one()
    made_by = {"id": project.owner.key_id, "name": name}
    assert http.get(f"/v1/fine_tuning/jobs/{tried}").json()["created_by"] == made_by
    assert http.get("/v1/fine_tuning/jobs").json()["data"][0]["created_by"] == made_by


def test_a_job_costs_its_slots_hours_and_its_gpus(
    http: httpx.Client, engine: Engine, settings: Settings, tried: str
) -> None:
    assert http.get(f"/v1/fine_tuning/jobs/{tried}").json()["usage"]["cost"] is None  # there are no prices

    def cost(**prices: float) -> float | None:
        with session_scope(engine) as session:
            found = costs(session, settings.model_copy(update=prices), jobs=[session.get_one(Job, tried)])
            return None if tried not in found else round(found[tried], 1)

    assert cost(cost_per_cpu_hour=2.0) == 2.0
    assert cost(cost_per_gpu_hour=3.0) is None  # the slot's time has no price
    with session_scope(engine) as session:
        hour = text("interval '1 hour'")
        running = session.scalars(select(Attempt).where(Attempt.outcome.is_(None))).one()
        running.started_at = func.now() - hour
        claims.hold_gpus(session, token=running.token, gpus=1)
    assert cost(cost_per_cpu_hour=2.0) == 2.0  # nothing has been charged yet for the GPU, and it is no slot of a CPU
    with session_scope(engine) as session:
        session.execute(update(Job).values(gpu_seconds=1800))
    assert cost(cost_per_cpu_hour=2.0) is None
    assert cost(cost_per_cpu_hour=2.0, cost_per_gpu_hour=3.0) == 2.0 + 1.5


def test_what_goes_on_from_a_jobs_models_is_listed(
    served: Served, http: httpx.Client, engine: Engine, project: ProjectKey, make_project: Callable[[str], ProjectKey]
) -> None:
    with session_scope(engine) as session:
        judge = make_model(session, project.owner, model=BASE, method={"type": "reward_model", "reward_model": {}})
        checkpoint = make_checkpoint(session, project.owner, model=BASE)
        by_name = {name: job for job, name in session.execute(select(Job.id, Job.fine_tuned_model))}
        ppo = {"type": "ppo", "ppo": {"reward_models": [judge]}}
        rewarded = make_job(session, project.owner, model=BASE, method=ppo).id
        onward = make_job(session, project.owner, model=judge, method={"type": "reward_model", "reward_model": {}}).id
        started = make_job(session, project.owner, model=checkpoint).id
        make_job(session, project.owner)
    other = make_project("other")

    def listed(job_id: str, **headers: str) -> list[str]:
        answer = http.get("/v1/fine_tuning/jobs", params={"from_job": job_id}, headers=headers)
        return [job["id"] for job in answer.json()["data"]]

    assert sorted(listed(by_name[judge])) == sorted([onward, rewarded])
    assert listed(by_name[judge], authorization=f"Bearer {other.key}") == []
    with Tunesmith(base_url=f"{served.url}/v1", api_key=project.key) as client:
        found = client.fine_tuning.jobs.list(from_job=by_name[None]).data
    assert [job.id for job in found] == [started]
