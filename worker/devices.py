"""The GPUs of this machine, found without loading anything that would touch them."""

import os
import shutil
import subprocess


def gpus() -> list[int]:
    """Indices for CUDA_VISIBLE_DEVICES; empty where there is no GPU. An operator's own CUDA_VISIBLE_DEVICES counts."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [int(index) for index in visible.split(",") if index.strip().isdigit()]
    if shutil.which("nvidia-smi") is None:
        return []
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=30, check=False)
    return list(range(sum(line.startswith("GPU ") for line in listed.stdout.splitlines())))
