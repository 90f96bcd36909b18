"""The SDK against every route that a job and its data have, in the order in which a user meets them."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tunesmith import AsyncTunesmith, InternalServerError, NotFoundError, PermissionDeniedError, Tunesmith
from tunesmith.types import PreviewRow, UsageRow

from tests.conftest import ProjectKey
from tests.e2e.rows import upper_case
from tests.stack import Stack, eventually

MODEL = "tiny-random-llama"
METHOD: dict[str, Any] = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2, "batch_size": 4}}}


@pytest.fixture
def client(stack: Stack, project: ProjectKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tunesmith]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with Tunesmith(base_url=f"{stack.url}/v1", api_key=project.key) as client:
        yield client


@pytest.fixture
def train(tmp_path: Path) -> Path:
    path = tmp_path / "train.jsonl"
    path.write_bytes(upper_case(40, seed=0))
    return path


def cli(client: Tunesmith, key: str, *arguments: str) -> str:
    env = {**os.environ, "TUNESMITH_BASE_URL": client.base_url, "TUNESMITH_API_KEY": key}
    command = [sys.executable, "-m", "tunesmith", *arguments]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_large_file_goes_in_parts_and_comes_back_whole(client: Tunesmith, train: Path, tmp_path: Path) -> None:
    file = client.uploads.upload_file(train, part_size=500, expires_after=3600)
    assert (file.expires_at or 0) - file.created_at in (3599, 3600)
    assert client.files.wait_for_processing(file.id).rows == 40
    assert client.files.download(file.id, tmp_path / "copy").read_bytes() == train.read_bytes()
    given_up = client.uploads.create(filename="x.jsonl", bytes=10, mime_type="application/jsonl")
    client.uploads.parts.create(given_up.id, data=b"12345")
    assert client.uploads.cancel(given_up.id).status == "cancelled"
    assert client.uploads.retrieve(given_up.id).status == "cancelled"


def test_what_is_known_before_a_job(client: Tunesmith, project: ProjectKey, train: Path, tmp_path: Path) -> None:
    (tmp_path / "valid.jsonl").write_bytes(upper_case(5, seed=0))  # the first rows of the training file
    valid = client.files.upload(tmp_path / "valid.jsonl")
    file = client.files.upload(train, expires_after=7200)
    assert (file.expires_at or 0) - file.created_at in (7199, 7200)
    client.files.wait_for_processing(file.id)
    client.files.wait_for_processing(valid.id)
    report = client.files.report(file.id, validation_file=valid.id)
    assert (report.rows, report.format, report.fault_count) == (40, "jsonl", 0)
    assert report.overlap is not None
    assert report.overlap["rows"] == 5

    def previewed() -> list[PreviewRow] | None:
        """Once a worker has published the model's tokenizer."""
        try:
            return client.files.preview(file.id, model=MODEL, limit=2).data
        except InternalServerError:
            return None

    row, _ = eventually(previewed, seconds=60, what="a preview")
    assert row.total_tokens == len(row.tokens)
    trained = "".join(token.text for token in row.tokens if token.state == "trained")
    assert json.loads(train.read_text().splitlines()[0])["messages"][1]["content"] in trained
    assert "tokens trained" in cli(client, project.key, "files", "preview", file.id, "--model", MODEL)

    estimate = client.fine_tuning.jobs.estimate(model=MODEL, training_file=train, method=METHOD)
    assert estimate.rows["total"] == 40
    assert estimate.steps is not None
    (tmp_path / "spec.yaml").write_text(f"model: {MODEL}\ntraining_file: train.jsonl\nmethod: {json.dumps(METHOD)}\n")
    shown = cli(client, project.key, "jobs", "create", "--file", str(tmp_path / "spec.yaml"), "--dry-run")
    assert re.search(rf"^steps +{estimate.steps}$", shown, re.MULTILINE)
    assert list(client.fine_tuning.jobs.list()) == []


def test_what_a_job_says_while_it_runs_and_afterwards(
    client: Tunesmith, project: ProjectKey, operator_key: str, train: Path, make_project: Callable[[str], ProjectKey]
) -> None:
    def create() -> str:
        spec: dict[str, Any] = {"model": MODEL, "training_file": train, "method": METHOD}
        return client.fine_tuning.jobs.create(spec, idempotency_key="once").id

    job_id = create()
    assert create() == job_id

    streamed = [event.seq for event in client.fine_tuning.jobs.events.stream(job_id)]
    assert streamed == list(range(1, len(streamed) + 1))
    assert asyncio.run(resumed(client, project.key, job_id, after=3)) == streamed[3:]
    logged = "".join(piece.text for piece in client.fine_tuning.jobs.logs.follow(job_id))
    assert cli(client, project.key, "jobs", "logs", job_id) == logged
    assert cli(client, project.key, "jobs", "events", "--follow", job_id).count("\n") == len(streamed)

    job = client.fine_tuning.jobs.wait(job_id)
    series = client.fine_tuning.jobs.metrics.retrieve(job_id, names=["train_loss"], max_points=5).series
    assert [*series] == ["train_loss"]
    assert 1 < len(series["train_loss"].steps) <= 5
    assert "step " in cli(client, project.key, "jobs", "metrics", job_id)
    assert job.usage is not None
    assert job.usage.cpu_seconds > 0

    (row,) = client.usage.list(group_by=["model", "day"])
    assert (row.jobs, row.model is not None, row.project_id) == (1, True, None)
    assert row.trained_tokens == job.trained_tokens
    (told,) = json.loads(cli(client, project.key, "--format", "json", "usage", "--by", "model"))
    assert UsageRow(**told).trained_tokens == job.trained_tokens

    checkpoint = next(iter(client.fine_tuning.jobs.checkpoints.list(job_id))).fine_tuned_model_checkpoint
    permissions = client.fine_tuning.checkpoints.permissions
    other = make_project("other")
    with Tunesmith(base_url=client.base_url, api_key=other.key) as stranger:
        with pytest.raises(NotFoundError):
            stranger.models.retrieve(checkpoint)
        (granted,) = permissions.create(checkpoint, project_ids=[other.project_id])
        assert [permission.project_id for permission in permissions.list(checkpoint)] == [other.project_id]
        assert stranger.models.retrieve(checkpoint).id == checkpoint
        assert permissions.delete(granted.id, checkpoint=checkpoint).deleted

    with pytest.raises(PermissionDeniedError):
        client.ops.workers()
    with Tunesmith(base_url=client.base_url, api_key=operator_key) as operator:
        assert {worker.queue for worker in operator.ops.workers()} >= {"train"}
        assert all(queue.depth == 0 for queue in operator.ops.queues())
    assert "train" in cli(client, operator_key, "ops", "workers")


async def resumed(client: Tunesmith, key: str, job_id: str, *, after: int) -> list[int]:
    async with AsyncTunesmith(base_url=client.base_url, api_key=key) as twin:
        return [event.seq async for event in twin.fine_tuning.jobs.events.stream(job_id, after=after)]
