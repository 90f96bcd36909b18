"""Figures of a job to Weights & Biases, by its own client in a process of its own (`worker.wandb_run`)."""

import contextlib
import importlib.util
import json
import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil

from core.exports.claims import Batch, NotTold, Told
from core.scratch import scratch
from core.settings import Settings
from core.specs.integrations import WandbIntegration

TIMEOUT = 180.0  # seconds
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
INHERITED = ("HOME", "LANG", "LD_LIBRARY_PATH", "PATH", "PYTHONPATH", "SSL_CERT_FILE", "TMPDIR", *PROXIES)

log = logging.getLogger(__name__)


def send(settings: Settings, batch: Batch) -> Told:
    """Log the batch's steps. Offline runs stay in the work folder; of others the client's files go with the batch.

    Raises:
        NotTold: the client is not installed, failed, or took longer than TIMEOUT.
    """
    if importlib.util.find_spec("wandb") is None:
        raise NotTold("the package wandb is not installed on the worker")
    kept = (settings.work_dir / "wandb").resolve()
    kept.mkdir(parents=True, exist_ok=True)
    with scratch("wandb") as made:
        folder = kept if settings.wandb_mode == "offline" else made
        with start(settings, batch, folder) as process:
            try:
                answered, complaints = process.communicate(timeout=TIMEOUT)
            except subprocess.TimeoutExpired:
                raise NotTold(f"the client was not done in {TIMEOUT:.0f} s") from None
            finally:
                _kill(process)
    if process.returncode != 0:
        log.warning("the client of Weights & Biases ended with status %d: %s", process.returncode, complaints[-1000:])
        kind = complaints.strip().rpartition("\n")[2].partition(":")[0]
        raise NotTold(f"the client failed ({kind[:60]})" if kind.isidentifier() else "the client failed")
    return Told(batch.job_id, json.loads(answered.splitlines()[-1])["url"])


def start(settings: Settings, batch: Batch, folder: Path) -> subprocess.Popen[str]:
    """The client's process, which has been told what to log and writes its files below the folder."""
    assert isinstance(batch.integration, WandbIntegration)
    asked = {
        "id": batch.job_id,
        "options": batch.integration.wandb.model_dump(exclude_none=True),
        "facts": batch.facts,
        "steps": batch.steps,
        "last": batch.last,
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


def _kill(process: subprocess.Popen[str]) -> None:
    """The client and what it has started, which is in sessions of its own; harmless where they have ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(process.pid)
        for child in (*root.children(recursive=True), root):
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()


def _environment(settings: Settings, folder: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
    key = {"WANDB_API_KEY": settings.wandb_api_key.get_secret_value()} if settings.wandb_api_key else {}
    mode = {"WANDB_MODE": settings.wandb_mode, "WANDB_BASE_URL": settings.wandb_base_url, "WANDB_DIR": folder}
    quiet = {"WANDB_SILENT": "true", "WANDB_CONSOLE": "off", "WANDB_DISABLE_GIT": "true", "WANDB_DISABLE_CODE": "true"}
    return {**kept, **key, **mode, **quiet}
