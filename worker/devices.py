"""The GPUs of this machine, found without loading anything that would touch them."""

import logging
import os
import shutil
import subprocess
from pathlib import Path

import psutil

log = logging.getLogger(__name__)


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


def memory(devices: list[int], *, slots: int) -> int | None:
    """Bytes that one slot may use: the smallest GPU's memory, else its share of the machine's or cgroup's."""
    if not devices:
        limit = Path("/sys/fs/cgroup/memory.max")
        allowed = limit.read_text().strip() if limit.exists() else "max"
        total = psutil.virtual_memory().total
        return min(total, int(allowed) if allowed.isdigit() else total) // slots
    query = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    listed = subprocess.run(query, capture_output=True, text=True, timeout=30, check=False)
    sizes = [int(line) * 1024**2 for line in listed.stdout.split() if line.isdigit()]
    return min((sizes[index] for index in devices if index < len(sizes)), default=None)
