"""Figures of a job to an MLflow server, by its REST API (MLflow 2 and 3, `/api/2.0/mlflow`)."""

import math
import time
from typing import Any

import httpx

from core.exports.claims import Batch, NotTold, Told
from core.settings import Settings
from core.specs.integrations import MlflowIntegration

TIMEOUT = 30.0  # seconds
MOST_METRICS = 1000  # of one request, by the server's rule
JOB = "tunesmith.job_id"  # the tag that a run is found by, when its answer was lost
STATUS = {"succeeded": "FINISHED", "failed": "FAILED", "cancelled": "KILLED"}


def send(settings: Settings, batch: Batch) -> Told:
    """Log the batch's steps; whatever is logged twice stays as it is.

    Raises:
        NotTold: the server can't be reached, or refuses.
    """
    if settings.mlflow_tracking_uri is None:
        raise NotTold("TUNESMITH_MLFLOW_TRACKING_URI is not set on the worker")
    base = settings.mlflow_tracking_uri.rstrip("/")
    with _client(settings, f"{base}/api/2.0/mlflow/") as client:
        experiment = _experiment(client, batch)
        run_id = batch.run_id or _find(client, experiment, batch) or _create(client, experiment, batch)
        metrics = _metrics(batch)
        for at in range(0, len(metrics), MOST_METRICS):
            _post(client, "runs/log-batch", run_id=run_id, metrics=metrics[at : at + MOST_METRICS])
        # Tags, as parameters may never change: what was chosen for `auto` does on another device.
        tags = [{"key": key, "value": str(value)} for key, value in batch.facts.items()]
        _post(client, "runs/log-batch", run_id=run_id, tags=tags)
        if batch.last:
            _post(client, "runs/update", run_id=run_id, status=STATUS[batch.status], end_time=int(time.time() * 1000))
    return Told(run_id, f"{base}/#/experiments/{experiment}/runs/{run_id}")


def _client(settings: Settings, base_url: str) -> httpx.Client:
    name, password, token = (
        settings.mlflow_tracking_username,
        settings.mlflow_tracking_password,
        settings.mlflow_tracking_token,
    )
    auth = (name, password.get_secret_value()) if name and password else None
    headers = {"authorization": f"Bearer {token.get_secret_value()}"} if token else {}
    return httpx.Client(base_url=base_url, headers=headers, auth=auth, timeout=TIMEOUT)


def _post(client: httpx.Client, path: str, **body: Any) -> dict[str, Any]:
    return _answer(client, "POST", path, json=body).json()


def _answer(client: httpx.Client, method: str, path: str, *, allowed: int = 200, **request: Any) -> httpx.Response:
    """Raises NotTold where it is neither a success nor the status that is allowed."""
    try:
        answer = client.request(method, path, **request)
    except httpx.HTTPError as error:
        raise NotTold(f"the server can't be reached ({type(error).__name__})") from None
    if not answer.is_success and answer.status_code != allowed:
        raise NotTold(f"the server answers {path} with {answer.status_code}")
    return answer


def _experiment(client: httpx.Client, batch: Batch) -> str:
    """The id of the one that the job names."""
    name = {"name": _options(batch).mlflow.experiment}
    by_name = {"experiment_name": name["name"]}
    found = _answer(client, "GET", "experiments/get-by-name", allowed=404, params=by_name)
    if found.status_code == 404:
        return _post(client, "experiments/create", **name)["experiment_id"]  # in vain where somebody just made it
    return found.json()["experiment"]["experiment_id"]


def _find(client: httpx.Client, experiment: str, batch: Batch) -> str | None:
    mine = f"tags.`{JOB}` = '{batch.job_id}'"
    runs = _post(client, "runs/search", experiment_ids=[experiment], filter=mine, max_results=1).get("runs", [])
    return runs[0]["info"]["run_id"] if runs else None


def _create(client: httpx.Client, experiment: str, batch: Batch) -> str:
    options = _options(batch).mlflow
    tags = [{"key": key, "value": value} for key, value in {**(options.tags or {}), JOB: batch.job_id}.items()]
    body = {"run_name": options.name or batch.job_id, "start_time": batch.created_at * 1000, "tags": tags}
    return _post(client, "runs/create", experiment_id=experiment, **body)["run"]["info"]["run_id"]


def _options(batch: Batch) -> MlflowIntegration:
    assert isinstance(batch.integration, MlflowIntegration)
    return batch.integration


def _metrics(batch: Batch) -> list[dict[str, Any]]:
    """With times that are the same whenever they are sent: what is logged twice is then one."""
    return [
        {"key": key, "value": value, "step": step, "timestamp": batch.created_at * 1000 + step}
        for step, figures in batch.steps
        for key, value in figures.items()
        if key != "step" and isinstance(value, int | float) and math.isfinite(value)
    ]
