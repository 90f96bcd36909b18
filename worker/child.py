"""What a forked child does before the trainer's code begins. Imports nothing of the house: trainers go by name."""

import importlib
import multiprocessing
import os
import signal
import threading
from multiprocessing.connection import wait
from pathlib import Path


def run(module: str, function: str, path: str, *, devices: list[int], threads: int | None, log: str) -> None:
    """Become a process group, tie its life to the supervisor's, and call `module.function(path)`.

    Args:
        devices: the GPUs that it may see; empty: none.
        threads: CPU threads of numerical libraries; None: their own choice.
        log: file that takes standard output and error.
    """
    os.setsid()
    _die_with_supervisor()
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.close(descriptor)
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, devices))
    if threads is not None:
        os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(threads)
    status = getattr(importlib.import_module(module), function)(Path(path))
    raise SystemExit(status or 0)


def _die_with_supervisor() -> None:
    """A supervisor that was killed must leave no trainer behind: the pipe to it closes however it dies."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch(sentinel: int) -> None:
        wait([sentinel])
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, args=(parent.sentinel,), name="supervisor-watch", daemon=True).start()
