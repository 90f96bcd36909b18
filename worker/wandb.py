"""Figures of a job to Weights & Biases, by its own client in a process of its own (`worker.wandb_run`)."""

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile

from core.exports.claims import Batch, Told
from core.settings import Settings
from core.specs.integrations import WandbIntegration

TIMEOUT = 180.0  # seconds
INHERITED = ("HOME", "LANG", "LD_LIBRARY_PATH", "PATH", "PYTHONPATH", "SSL_CERT_FILE", "TMPDIR")


def send(settings: Settings, batch: Batch) -> Told:
    """Log the batch's steps.

    Raises:
        RuntimeError: the client is not installed, or failed; its words say how.
        TimeoutExpired: it took longer than TIMEOUT.
    """
    if importlib.util.find_spec("wandb") is None:
        raise RuntimeError("the package wandb is not installed on the worker")
    with start(settings, batch) as process:
        try:
            answered, complaints = process.communicate(timeout=TIMEOUT)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # what it has started, too
    if process.returncode != 0:
        lines = complaints.strip().splitlines()
        raise RuntimeError(lines[-1][:300] if lines else f"the client ended with status {process.returncode}")
    return Told(batch.job_id, json.loads(answered.splitlines()[-1])["url"])


def start(settings: Settings, batch: Batch) -> subprocess.Popen[str]:
    """The client's process, in a group of its own; it has been told what to log."""
    assert isinstance(batch.integration, WandbIntegration)
    folder = (settings.work_dir / "wandb").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    asked = {
        "id": batch.job_id,
        "options": batch.integration.wandb.model_dump(exclude_none=True),
        "facts": batch.facts,
        "steps": batch.steps,
        "exit_code": 1 if batch.status in ("failed", "cancelled") else 0,
    }
    with tempfile.TemporaryFile("w+") as file:
        json.dump(asked, file)
        file.seek(0)
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "worker.wandb_run"],
            stdin=file,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=_environment(settings, str(folder)),
            start_new_session=True,
        )


def _environment(settings: Settings, folder: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
    key = {"WANDB_API_KEY": settings.wandb_api_key.get_secret_value()} if settings.wandb_api_key else {}
    mode = {"WANDB_MODE": settings.wandb_mode, "WANDB_BASE_URL": settings.wandb_base_url, "WANDB_DIR": folder}
    quiet = {"WANDB_SILENT": "true", "WANDB_CONSOLE": "off", "WANDB_DISABLE_GIT": "true", "WANDB_DISABLE_CODE": "true"}
    return {**kept, **key, **mode, **quiet}
