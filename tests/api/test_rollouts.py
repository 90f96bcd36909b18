"""The answers that a job has learnt from: found, narrowed down, sorted, paged."""

import asyncio
import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine
from tunesmith import AsyncTunesmith, Tunesmith

from core.db import session_scope
from core.ids import new_id
from core.jobs import claims, publishing
from core.jobs.publishing import Folder
from core.models import Job
from core.specs.rollouts import FILE, Rollout
from core.specs.run import CheckpointEvent, RunResult
from core.storage import Storage
from tests.api.conftest import Served
from tests.conftest import ProjectKey
from tests.core.factories import make_job

CHECK = {"type": "string_check", "name": "c", "operation": "eq", "input": "a", "reference": "b"}
METHOD = {"type": "reinforcement", "reinforcement": {"grader": CHECK}}


def rollout(step: int, k: int, **given: Any) -> Rollout:
    """Of three rows, two answers a step; the reward falls where the step rises."""
    row = {
        "number": 2 * (step - 1) + k,
        "step": step,
        "row": step % 3,
        "prompt": [{"role": "user", "content": f"Question {step % 3}?"}],
        "completion": f"Answer {step}.{k}",
        "completion_tokens": 10 + k,
        "truncated": k == 1,
        "reward": 1.0 - step / 10,
        "rewards": {"c": 1.0, **({"judge": step * (0.5 + k)} if step > 2 else {})},
        "advantage": (-1.0) ** k * step,
        "error": "c: it broke" if step == 3 and k == 0 else None,
    }
    return Rollout.model_validate({**row, **given})


ROLLOUTS = [rollout(step, k) for step in range(1, 6) for k in range(2)]


@pytest.fixture
def put(storage: Storage, tmp_path: Path) -> Callable[[list[Rollout]], Folder]:
    def put(rollouts: list[Rollout]) -> Folder:
        source, prefix = tmp_path / new_id("folder-"), f"orgs/org/{new_id('folder-')}/"
        source.mkdir()
        (source / FILE).write_text("".join(found.model_dump_json() + "\n" for found in rollouts))
        (source / "adapter_model.safetensors").write_bytes(b"x")
        return Folder(prefix, storage.put_folder(prefix, source))

    return put


@pytest.fixture
def running(engine: Engine, project: ProjectKey) -> str:
    with session_scope(engine) as session:
        job = make_job(session, project.owner, method=METHOD)
        assert claims.claim(session, worker_id="w", devices=0, lease=3600) is job
        return job.id


def checkpoint(engine: Engine, job_id: str, folder: Folder, *, step: int) -> None:
    event = CheckpointEvent(step=step, path=f"checkpoints/step-{step}", trained_tokens=1, metrics={})
    with session_scope(engine) as session:
        token = session.get_one(Job, job_id).token or 0
        publishing.publish_checkpoint(session, token=token, lease=3600, event=event, folder=folder)


def succeed(engine: Engine, job_id: str, folder: Folder) -> None:
    result = RunResult(outcome="succeeded", step=5, trained_tokens=1)
    with session_scope(engine) as session:
        token = session.get_one(Job, job_id).token or 0
        publishing.succeed(session, token=token, lease=3600, result=result, folder=folder, results_name="results.csv")


@pytest.fixture
def job_id(engine: Engine, running: str, put: Callable[[list[Rollout]], Folder]) -> str:
    succeed(engine, running, put(ROLLOUTS))
    return running


def listed(http: httpx.Client, job_id: str, **query: Any) -> list[str]:
    answer = http.get(f"/v1/fine_tuning/jobs/{job_id}/rollouts", params={"limit": 100, **query})
    assert answer.status_code == 200, answer.text
    assert answer.json()["has_more"] is False
    return [found["completion"].removeprefix("Answer ") for found in answer.json()["data"]]


def test_each_rollout_says_what_it_was_and_what_it_was_worth(http: httpx.Client, job_id: str) -> None:
    page = http.get(f"/v1/fine_tuning/jobs/{job_id}/rollouts", params={"order": "asc", "limit": 1}).json()
    assert page["data"] == [
        {"id": "0", "object": "fine_tuning.job.rollout", **ROLLOUTS[0].model_dump(exclude={"number"})}
    ]
    assert (page["object"], page["has_more"], page["first_id"], page["last_id"]) == ("list", True, "0", "0")


def test_a_job_that_runs_shows_those_of_its_latest_checkpoint(
    http: httpx.Client, engine: Engine, running: str, put: Callable[[list[Rollout]], Folder]
) -> None:
    assert listed(http, running) == []
    checkpoint(engine, running, put(ROLLOUTS[:2]), step=1)
    assert listed(http, running) == ["1.1", "1.0"]
    checkpoint(engine, running, put(ROLLOUTS[:4]), step=2)
    assert listed(http, running) == ["2.1", "2.0", "1.1", "1.0"]
    succeed(engine, running, put(ROLLOUTS))
    assert len(listed(http, running)) == 10


def test_an_id_stays_an_answers_own_where_a_job_has_thinned_out_what_it_kept(
    http: httpx.Client, engine: Engine, running: str, put: Callable[[list[Rollout]], Folder]
) -> None:
    checkpoint(engine, running, put(ROLLOUTS[:6]), step=3)
    assert listed(http, running, after="4") == ["2.1", "2.0", "1.1", "1.0"]
    checkpoint(engine, running, put(ROLLOUTS[::2]), step=5)
    assert listed(http, running, after="4") == ["2.0", "1.0"]
    answer = http.get(f"/v1/fine_tuning/jobs/{running}/rollouts", params={"after": "3"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "after")


def test_a_method_that_samples_nothing_has_none(http: httpx.Client, engine: Engine, project: ProjectKey) -> None:
    with session_scope(engine) as session:
        job_id = make_job(session, project.owner).id
    assert listed(http, job_id) == []


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("by", ["step", "reward", "advantage", "completion_tokens"])
def test_pages_hold_every_rollout_once_in_their_order(http: httpx.Client, job_id: str, by: str, order: str) -> None:
    seen: list[dict[str, Any]] = []
    query: dict[str, Any] = {"order_by": by, "order": order, "limit": 3}
    while True:
        page = http.get(f"/v1/fine_tuning/jobs/{job_id}/rollouts", params=query).json()
        seen += page["data"]
        if not page["has_more"]:
            break
        query["after"] = page["last_id"]
    keys = [(found[by], int(found["id"])) for found in seen]
    assert keys == sorted(keys, reverse=order == "desc")
    assert len({key[1] for key in keys}) == 10


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"step": 2}, ["2.1", "2.0"]),
        ({"min_step": 4, "truncated": True}, ["5.1", "4.1"]),
        ({"max_step": 1}, ["1.1", "1.0"]),
        ({"min_step": 2, "max_step": 3, "truncated": False}, ["3.0", "2.0"]),
        ({"min_reward": 0.8, "order": "asc"}, ["1.0", "1.1", "2.0", "2.1"]),
        ({"max_reward": 0.5}, ["5.1", "5.0"]),
        ({"failed": True}, ["3.0"]),
        ({"failed": False, "step": 3}, ["3.1"]),
        ({"q": "ANSWER 4"}, ["4.1", "4.0"]),
        ({"q": "question 0", "failed": False}, ["3.1"]),
        ({"q": "nowhere"}, []),
        ({"min_reward": "nan"}, []),
        ({"min_advantage": 3}, ["5.0", "4.0", "3.0"]),
        ({"min_advantage": -2, "max_advantage": 1}, ["2.1", "1.1", "1.0"]),
        ({"min_completion_tokens": 11, "min_step": 4}, ["5.1", "4.1"]),
        ({"max_completion_tokens": 10, "min_step": 4}, ["5.0", "4.0"]),
        ({"grader": "judge", "max_step": 3}, ["3.1", "3.0"]),
        ({"grader": "judge", "min_grader_reward": 4.5, "max_grader_reward": 6}, ["4.1", "3.1"]),
        ({"grader": "judge", "max_grader_reward": 2}, ["4.0", "3.0"]),
        ({"grader": "judge", "order_by": "grader_reward"}, ["5.1", "4.1", "3.1", "5.0", "4.0", "3.0"]),
        (
            {"grader": "judge", "order_by": "grader_reward", "order": "asc", "after": "4"},
            ["4.0", "5.0", "3.1", "4.1", "5.1"],
        ),
        ({"grader": "judge", "order_by": "grader_reward", "order": "asc", "after": "0", "max_step": 3}, ["3.0", "3.1"]),
    ],
)
def test_filters_narrow_the_list_down(http: httpx.Client, job_id: str, query: dict[str, Any], found: list[str]) -> None:
    assert listed(http, job_id, **query) == found


def test_a_page_may_go_on_behind_what_the_filter_leaves_out(http: httpx.Client, job_id: str) -> None:
    assert listed(http, job_id, after="4", truncated=True) == ["2.1", "1.1"]  # 4: the first answer of step 3


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"after": "10"}, "after"),
        ({"after": "x"}, "after"),
        ({"step": 1, "min_step": 1}, "step"),
        ({"order_by": "completion"}, "order_by"),
        ({"order": "up"}, "order"),
        ({"limit": 101}, "limit"),
        ({"min_step": -1}, "min_step"),
        ({"truncated": "maybe"}, "truncated"),
        ({"q": ""}, "q"),
        ({"reward": 1}, "reward"),
        ({"grader": "x"}, "grader"),
        ({"min_grader_reward": 1}, "min_grader_reward"),
        ({"max_grader_reward": 1}, "max_grader_reward"),
        ({"order_by": "grader_reward"}, "order_by"),
        ({"max_completion_tokens": -1}, "max_completion_tokens"),
    ],
)
def test_what_is_no_query_is_refused(http: httpx.Client, job_id: str, query: dict[str, Any], param: str) -> None:
    answer = http.get(f"/v1/fine_tuning/jobs/{job_id}/rollouts", params=query)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_an_unknown_grader_is_told_which_there_are(http: httpx.Client, job_id: str) -> None:
    answer = http.get(f"/v1/fine_tuning/jobs/{job_id}/rollouts", params={"grader": "juge", "step": 1})
    assert answer.json()["error"]["message"] == "grader: the job's rewards have no 'juge'; they have c, judge"


def test_the_filters_are_documented(http: httpx.Client) -> None:
    route = http.get("/openapi.json").json()["paths"]["/v1/fine_tuning/jobs/{job_id}/rollouts"]["get"]
    names = {parameter["name"] for parameter in route["parameters"]}
    bounds = {f"{end}_{key}" for end in ("min", "max") for key in ("advantage", "completion_tokens", "grader_reward")}
    assert {"grader", "order_by", *bounds} <= names


def test_another_projects_rollouts_do_not_exist(
    http: httpx.Client, job_id: str, make_project: Callable[[str], ProjectKey]
) -> None:
    other = {"authorization": f"Bearer {make_project('other').key}"}
    for id, headers in ((job_id, other), ("ftjob-none", {})):
        assert http.get(f"/v1/fine_tuning/jobs/{id}/rollouts", headers=headers).status_code == 404


def test_the_clients_list_them(served: Served, project: ProjectKey, job_id: str) -> None:
    options: Any = {"order_by": "completion_tokens", "min_reward": 0.7, "truncated": False, "q": "answer", "limit": 1}
    bounds: Any = {"min_advantage": 3, "max_advantage": 4, "min_completion_tokens": 10, "max_completion_tokens": 10}
    by_grader: Any = {"grader": "judge", "order_by": "grader_reward", "min_grader_reward": 1, "max_grader_reward": 2}
    with Tunesmith(base_url=f"{served.url}/v1", api_key=project.key) as client:
        found = list(client.fine_tuning.jobs.rollouts.list(job_id, **options))
        bounded = [list(client.fine_tuning.jobs.rollouts.list(job_id, **one)) for one in (bounds, by_grader)]
    assert [rollout.completion for rollout in found] == ["Answer 3.0", "Answer 2.0", "Answer 1.0"]
    assert [[rollout.completion for rollout in one] for one in bounded] == [["Answer 4.0", "Answer 3.0"]] * 2
    assert (found[0].reward, found[0].rewards, found[0].error) == (0.7, {"c": 1.0, "judge": 1.5}, "c: it broke")

    async def twins() -> list[Any]:
        async with AsyncTunesmith(base_url=f"{served.url}/v1", api_key=project.key) as twin:
            return [rollout async for rollout in twin.fine_tuning.jobs.rollouts.list(job_id, **options)]

    assert asyncio.run(twins()) == found


def test_a_file_is_looked_through_in_little_memory(
    http: httpx.Client, engine: Engine, running: str, put: Callable[[list[Rollout]], Folder]
) -> None:
    """What is held of an answer is a few numbers, however long it is."""
    long = "x" * 100_000
    succeed(engine, running, put([rollout(step, 0, completion=f"{step} {long}") for step in range(300)]))
    tracemalloc.start()
    try:
        found = http.get(f"/v1/fine_tuning/jobs/{running}/rollouts", params={"q": "7 x", "limit": 2}).json()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [row["step"] for row in found["data"]] == [297, 287]
    assert peak < 15_000_000, "of 30 MB"


def test_the_command_line_shows_them(served: Served, project: ProjectKey, job_id: str) -> None:
    env = {**os.environ, "TUNESMITH_BASE_URL": f"{served.url}/v1", "TUNESMITH_API_KEY": project.key}

    def run(*arguments: str) -> str:
        command = [sys.executable, "-m", "tunesmith", *arguments]
        done = subprocess.run(command, env=env, cwd="/", capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    command = ("jobs", "rollouts", job_id, "--order-by", "reward", "--order", "asc", "--not-truncated", "--limit", "2")
    shown = json.loads(run("--format", "json", *command))
    assert [found["completion"] for found in shown] == ["Answer 5.0", "Answer 4.0"]
    assert "Answer 5.0" in run(*command)
    assert run("--format", "id", "jobs", "rollouts", job_id, "--failed") == "4\n"
    assert run("--format", "id", "jobs", "rollouts", job_id, "--row", "0") == "5\n4\n"
    assert run("--format", "id", "jobs", "rollouts", job_id, "--text", "question 1", "--step", "4") == "7\n6\n"
    by_grader = ("--grader", "judge", "--order-by", "grader_reward", "--min-grader-reward", "2", "--max-advantage", "0")
    command = ("jobs", "rollouts", job_id, *by_grader, "--min-completion-tokens", "11", "--max-grader-reward", "7")
    assert run("--format", "id", *command) == "7\n5\n"
