"""Watching what a trainer takes of its machine, in a thread of its own: an upload must not make anybody look away."""

import contextvars
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.specs.run import RunError
from worker.cost import CostMeter

LOOK_SECONDS = 0.25  # what is allocated between two looks comes on top of a limit
FAMILY_EVERY = 4  # looks: finding what a trainer has started takes a walk through all processes
DISK_EVERY = 20  # looks
# How often the kernel has killed for want of memory: in this container, else on this machine.
OOM_COUNTERS = (Path("/sys/fs/cgroup/memory.events"), Path("/proc/vmstat"))


@dataclass(frozen=True)
class Allowed:
    """What a trainer may take, in bytes. memory: resident, with all that it has started. disk: its run directory, but
    for its inputs, which belong to the cache.
    """

    memory: int
    disk: int


@contextmanager
def watched(
    pid: int, run_dir: Path, *, meter: CostMeter, allowed: Allowed, stop_it: Callable[[RunError], None]
) -> Iterator[None]:
    """Sample the process for as long as the block lasts; once it takes too much, every look says so to `stop_it`.

    An address-space limit would do this without a watcher, but CUDA reserves more of that than any machine has memory.
    """
    done = threading.Event()

    def watch() -> None:
        looks = 0
        while not done.wait(LOOK_SECONDS):
            meter.sample(pid, family=looks % FAMILY_EVERY == 0)
            if meter.resident > allowed.memory:
                stop_it(out_of_memory(meter, limit=allowed.memory))
            elif looks % DISK_EVERY == 0 and (size := disk_use(run_dir)) > allowed.disk:
                stop_it(too_large(size, limit=allowed.disk))
            looks += 1

    thread = threading.Thread(target=contextvars.copy_context().run, args=(watch,), name="watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def out_of_memory(meter: CostMeter, *, limit: int | None = None) -> RunError:
    """limit: that it was killed for by us; null: the kernel has killed it."""
    why = f"of the {sized(limit)} that it may" if limit else "and was killed by the kernel for want of it"
    message = f"The trainer took {sized(meter.peak)} of memory at its peak, {why}"
    return RunError(code="out_of_memory", message=message, retryable=True)


def too_large(size: int, *, limit: int) -> RunError:
    message = f"The run took {sized(size)} of the worker's disk, of the {sized(limit)} that it may"
    return RunError(code="disk_full", message=message, retryable=True)


def oom_kills() -> int:
    """How often the kernel has killed something here for want of memory."""
    for path in OOM_COUNTERS:
        if path.exists():
            counts = dict(line.split() for line in path.read_text().splitlines())
            return int(counts.get("oom_kill", 0))
    return 0


def disk_use(run_dir: Path) -> int:
    """Bytes that the run directory takes of its disk, without `inputs`."""
    total = 0
    for folder, folders, names in os.walk(run_dir):
        if Path(folder) == run_dir:
            folders[:] = [name for name in folders if name != "inputs"]
        total += sum(_allocated(Path(folder, name)) for name in names)
    return total


def _allocated(path: Path) -> int:
    try:
        return path.lstat().st_blocks * 512
    except FileNotFoundError:  # the trainer renames and removes meanwhile
        return 0


def sized(count: int) -> str:
    """Bytes as people read them."""
    return f"{count / 1024**3:.2f} GiB" if count >= 1024**3 else f"{count / 1024**2:.0f} MiB"
