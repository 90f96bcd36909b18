"""Figures at a real MLflow server, and in the run files of the real client of Weights & Biases."""

import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, func, select, update
from wandb.proto.wandb_internal_pb2 import Record

from core.db import session_scope
from core.exports import claims
from core.jobs import service as jobs
from core.leases import Replaced
from core.models import Export, Job, Metric
from core.settings import Settings
from embedded.ports import free_ports
from tests.conftest import ProjectKey
from tests.core.factories import make_job
from tests.stack import eventually
from worker import exporting, wandb
from worker.context import Context
from worker.reconciler import Contact, give_back
from worker.slots import Slot

VENV = Path(sys.prefix)
MLFLOW = {"type": "mlflow", "mlflow": {"experiment": "caps", "tags": {"team": "a"}}}
WANDB = {"type": "wandb", "wandb": {"project": "caps", "name": "first", "tags": ["a"]}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an MLflow server."""
    folder, port = tmp_path_factory.mktemp("mlflow"), free_ports(1)[0]
    url = f"http://127.0.0.1:{port}"
    store = ["--backend-store-uri", f"sqlite:///{folder}/runs.db", "--default-artifact-root", str(folder)]
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1", *store],
        env={**os.environ, "PYTHONPATH": str(VENV / "mlflow"), "MLFLOW_DISABLE_TELEMETRY": "true"},
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        eventually(lambda: answers(f"{url}/health"), seconds=180, what="the MLflow server answers")
        yield url
    finally:
        os.killpg(process.pid, 9)
        process.wait()


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).is_success
    except httpx.HTTPError:
        return False


@pytest.fixture
def told(context: Context) -> Any:
    """Tells integrations of what is due, once, with these settings."""

    def tell(**settings: Any) -> bool:
        changed = Context(**{**vars(context), "settings": context.settings.model_copy(update=settings)})
        return exporting.run_next(changed, Slot())

    return tell


def make_exporting_job(engine: Engine, project: ProjectKey, integration: dict[str, Any]) -> str:
    with session_scope(engine) as session:
        job = make_job(session, project.owner)
        (wanted,) = [claims.INTEGRATION.validate_python(integration)]
        claims.add(session, job, [wanted])
        job.resolved = {"n_epochs": 2}
        return job.id


def step_on(engine: Engine, job_id: str, steps: range) -> None:
    """As if an attempt had recorded these steps; the exports are due."""
    with session_scope(engine) as session:
        for step in steps:
            figures = {"step": step, "train_loss": 1 / step, "valid_loss": None, "grad_norm": 2.0}
            session.add(Metric(job_id=job_id, step=step, token=1, data=figures))
        session.get_one(Job, job_id).step = steps[-1]
        session.execute(update(Export).values(due_at=func.now()))


def the_export(engine: Engine) -> Export:
    with session_scope(engine) as session:
        return session.scalars(select(Export)).one()


def runs(server: str, job_id: str) -> list[dict[str, Any]]:
    experiment = httpx.get(f"{server}/api/2.0/mlflow/experiments/get-by-name", params={"experiment_name": "caps"})
    asked = {
        "experiment_ids": [experiment.json()["experiment"]["experiment_id"]],
        "filter": f"tags.`tunesmith.job_id` = '{job_id}'",
    }
    return httpx.post(f"{server}/api/2.0/mlflow/runs/search", json=asked).json().get("runs", [])


def series(server: str, run: dict[str, Any], key: str) -> list[tuple[int, float]]:
    asked = {"run_id": run["info"]["run_id"], "metric_key": key}
    found = httpx.get(f"{server}/api/2.0/mlflow/metrics/get-history", params=asked).json().get("metrics", [])
    return sorted((metric["step"], metric["value"]) for metric in found)


def test_mlflow_gets_each_step_once_and_the_end(engine: Engine, project: ProjectKey, server: str, told: Any) -> None:
    job_id = make_exporting_job(engine, project, MLFLOW)
    assert not told(mlflow_tracking_uri=server)  # nothing has been measured yet
    step_on(engine, job_id, range(1, 4))
    assert told(mlflow_tracking_uri=server)
    assert not told(mlflow_tracking_uri=server)  # nothing new
    (run,) = runs(server, job_id)
    assert run["info"]["status"] == "RUNNING"
    assert run["info"]["run_name"] == job_id
    assert {"key": "n_epochs", "value": "2"} in run["data"]["tags"]
    assert {"key": "team", "value": "a"} in run["data"]["tags"]
    with session_scope(engine) as session:  # a worker that was lost before it wrote down what it had told
        session.execute(update(Export).values(exported_step=0, run_id=None, due_at=func.now()))
    assert told(mlflow_tracking_uri=server)
    step_on(engine, job_id, range(4, 6))
    with session_scope(engine) as session:
        jobs.cancel(session, owner=project.owner, job_id=job_id)
    assert told(mlflow_tracking_uri=server)
    (run,) = runs(server, job_id)
    assert run["info"]["status"] == "KILLED"
    assert series(server, run, "train_loss") == [(step, 1 / step) for step in range(1, 6)]
    assert series(server, run, "valid_loss") == []
    export = the_export(engine)
    assert (export.status, export.exported_step, export.reason) == ("done", 5, None)
    assert export.url == f"{server}/#/experiments/{run['info']['experiment_id']}/runs/{run['info']['run_id']}"
    assert not told(mlflow_tracking_uri=server)


def test_more_steps_than_a_batch_has_follow_at_once(
    engine: Engine, project: ProjectKey, server: str, told: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "MOST_STEPS", 2)
    job_id = make_exporting_job(engine, project, MLFLOW)
    step_on(engine, job_id, range(1, 6))
    with session_scope(engine) as session:
        jobs.cancel(session, owner=project.owner, job_id=job_id)
    assert [told(mlflow_tracking_uri=server) for _ in range(4)] == [True, True, True, False]
    assert [step for step, _ in series(server, runs(server, job_id)[0], "grad_norm")] == [1, 2, 3, 4, 5]


def test_a_server_that_is_away_is_tried_again_and_then_given_up(
    engine: Engine, project: ProjectKey, told: Any, settings: Settings
) -> None:
    job_id = make_exporting_job(engine, project, MLFLOW)
    away = f"http://127.0.0.1:{free_ports(1)[0]}"
    for tries in range(1, len(claims.PAUSES) + 2):
        step_on(engine, job_id, range(tries, tries + 1))
        assert told(mlflow_tracking_uri=away)
        assert not told(mlflow_tracking_uri=away)  # only after a pause
        export = the_export(engine)
        assert export.tries == tries
        assert export.reason is not None
        assert export.reason == "the server can't be reached (ConnectError)"
    assert export.status == "failed"


def test_what_a_lost_worker_had_is_given_back(engine: Engine, project: ProjectKey, settings: Settings) -> None:
    job_id = make_exporting_job(engine, project, MLFLOW)
    step_on(engine, job_id, range(1, 2))
    with session_scope(engine) as session:
        batch = claims.claim(session, lease=60)
        assert batch is not None
        assert claims.claim(session, lease=60) is None
        session.execute(update(Export).values(lease_expires_at=func.now() - timedelta(seconds=1)))
        began = session.scalars(func.now().select()).one() - timedelta(seconds=20)
    contact = Contact(longest_gap=60)
    contact.made(began)
    give_back(engine, settings.model_copy(update={"lease_seconds": 0.5}), contact)
    assert (the_export(engine).token, the_export(engine).reason) == (None, "the worker was lost")
    with session_scope(engine) as session, pytest.raises(Replaced):
        claims.told(session, batch=batch, lease=60, said=claims.Told("run", None))


def test_wandb_writes_one_offline_run_at_the_end(
    engine: Engine, project: ProjectKey, told: Any, tmp_path: Path
) -> None:
    job_id = make_exporting_job(engine, project, WANDB)
    step_on(engine, job_id, range(1, 4))
    assert not told(wandb_mode="offline")
    with session_scope(engine) as session:
        jobs.cancel(session, owner=project.owner, job_id=job_id)
    assert told(wandb_mode="offline"), the_export(engine).reason
    assert (the_export(engine).status, the_export(engine).reason) == ("done", None)
    (written,) = (tmp_path / "wandb").rglob("*.wandb")
    records = read_records(written)
    (run,) = [record.run for record in records if record.WhichOneof("record_type") == "run"]
    assert (run.run_id, run.project, run.display_name, list(run.tags)) == (job_id, "caps", "first", ["a"])
    logged = [
        {item.nested_key[0] if item.nested_key else item.key: item.value_json for item in record.history.item}
        for record in records
        if record.WhichOneof("record_type") == "history"
    ]
    assert [row["train_loss"] for row in logged] == ["1", "0.5", "0.3333333333333333"]
    assert "valid_loss" not in logged[0]
    (exit,) = [record.exit for record in records if record.WhichOneof("record_type") == "exit"]
    assert exit.exit_code == 1


def read_records(path: Path) -> list[Any]:
    """LevelDB's log format: chunks with 7 bytes in front (checksum, length, which part), none across 32 KiB."""
    data, at, part, found = path.read_bytes(), 7, b"", []
    while at < len(data):
        if (room := -at % 32768) < 7 and room:
            at += room
        _, length, kind = struct.unpack_from("<IHB", data, at)
        part += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            found.append(Record.FromString(part))
            part = b""
    return found


def test_wandb_goes_to_the_address_that_is_set(engine: Engine, project: ProjectKey, tmp_path: Path) -> None:
    job_id = make_exporting_job(engine, project, WANDB)
    step_on(engine, job_id, range(1, 2))
    with session_scope(engine) as session:
        batch = claims.claim(session, lease=60)
    assert batch is not None
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)
        settings = Settings(
            wandb_base_url=f"http://127.0.0.1:{listener.getsockname()[1]}",
            wandb_api_key=SecretStr("k" * 40),
            work_dir=tmp_path,
        )
        with wandb.start(settings, batch, tmp_path) as process:
            try:
                connection, _ = listener.accept()
                with connection:
                    assert b"HTTP/1.1\r\nHost: 127.0.0.1:" in connection.recv(4096)
            finally:
                os.killpg(process.pid, 9)
