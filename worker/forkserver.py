"""Warm starts: a server process that has imported torch, transformers, peft and trl, and forks a trainer on request.

It runs nothing but imports, never initialises CUDA, and sees no secret: its environment, which every trainer inherits
and which is fixed when it starts, is an allow-list.
"""

import multiprocessing
import multiprocessing.forkserver
import os
import signal
from collections.abc import MutableMapping
from multiprocessing.context import ForkServerContext, ForkServerProcess
from typing import Any

import psutil

from worker import child

PRELOAD = ["trainers.preload"]
# Where programs and libraries are found, and how torch is tuned. Nothing that starts with TUNESMITH_.
ALLOWED = (
    "CUDA_HOME",
    "CUDA_VISIBLE_DEVICES",
    "HF_ENDPOINT",
    "HF_HOME",
    "HOME",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "NVIDIA_DRIVER_CAPABILITIES",
    "NVIDIA_VISIBLE_DEVICES",
    "PATH",
    "PYTHONPATH",
    "PYTORCH_CUDA_ALLOC_CONF",
    "SSL_CERT_FILE",
    "TMPDIR",
    "TZ",
    "VIRTUAL_ENV",
)


def keep_only_allowed(environment: MutableMapping[str, str]) -> None:
    """Reduce the environment for good: the forkserver may be restarted at any time, and inherits what is there then."""
    for name in list(environment):
        if name not in ALLOWED:
            del environment[name]
    environment["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"  # asks the driver for devices without initialising CUDA
    environment["HF_HUB_DISABLE_TELEMETRY"] = "1"
    environment["TOKENIZERS_PARALLELISM"] = "false"


def start() -> None:
    """Start the server and let it import; call it before the process has threads that could be forked halfway."""
    _context().set_forkserver_preload(PRELOAD)
    multiprocessing.forkserver.ensure_running()


def stop() -> None:
    """End the server and whatever it runs; left to itself it would notice our end only after its imports."""
    for process in psutil.Process().children():
        process.kill()


def spawn(
    module: str, function: str, path: str, *, devices: list[int], threads: int | None, log: str
) -> ForkServerProcess:
    """Fork a child that calls `module.function(path)` as the leader of a process group of its own."""
    _context().set_forkserver_preload(PRELOAD)
    arguments: dict[str, Any] = {"devices": devices, "threads": threads, "log": log}
    process = _context().Process(target=child.run, args=(module, function, path), kwargs=arguments, name=function)
    process.start()
    return process


def kill(process: ForkServerProcess) -> None:
    """Kill a child and whatever it has started; harmless when it has ended."""
    if process.pid is None or process.exitcode is not None:
        return
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:  # it has not become a group yet, or is gone
        process.kill()
    process.join()


def _context() -> ForkServerContext:
    return multiprocessing.get_context("forkserver")
