"""The GPUs and the memory of this machine, found without loading anything that would touch them."""

import logging
import os
import shutil
import subprocess
from pathlib import Path

import psutil

from core.settings import Settings

log = logging.getLogger(__name__)
SHARED = 0.9  # of a machine's memory: the rest is for the worker, and whatever else runs there


def gpus() -> list[int]:
    """Indices for CUDA_VISIBLE_DEVICES; empty where there is no GPU. An operator's own CUDA_VISIBLE_DEVICES counts."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        names = [name.strip() for name in visible.split(",")]
        if unusable := [name for name in names if name.startswith(("GPU-", "MIG-"))]:
            log.warning("CUDA_VISIBLE_DEVICES: %s left unused; give indices, not UUIDs", ", ".join(unusable))
        return [int(name) for name in names if name.isdigit()]
    if shutil.which("nvidia-smi") is None:
        return []
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=30, check=False)
    return list(range(sum(line.startswith("GPU ") for line in listed.stdout.splitlines())))


def trainer_memory(settings: Settings) -> int:
    """Bytes of this machine's or cgroup's memory that one trainer may take: what the settings say, or an even share."""
    if settings.trainer_memory_bytes is not None:
        return settings.trainer_memory_bytes
    limit = Path("/sys/fs/cgroup/memory.max")
    allowed = limit.read_text().strip() if limit.exists() else "max"
    total = psutil.virtual_memory().total
    most = min(total, int(allowed) if allowed.isdigit() else total)
    return int(SHARED * most) // slots(settings)


def slots(settings: Settings) -> int:
    """Trainers at once: one a GPU; without any, as many as the settings say."""
    return len(gpus()) or settings.cpu_slots


def gpu_memory(devices: list[int]) -> int | None:
    """Bytes of the smallest of these GPUs; None where the driver does not tell."""
    query = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    listed = subprocess.run(query, capture_output=True, text=True, timeout=30, check=False)
    sizes = [int(line) * 1024**2 for line in listed.stdout.split() if line.isdigit()]
    return min((sizes[index] for index in devices if index < len(sizes)), default=None)
