"""What an attempt uses of its machine."""

import time
from contextlib import suppress
from pathlib import Path

import psutil

from core.jobs.publishing import Cost


class CostMeter:
    """Samples a trainer and whatever it has started; what has ended keeps the CPU seconds of its last sample.

    resident: bytes of memory at the last sample, without the pages of files, which the kernel takes back where memory
    is short: weights are read from such. Pages that two processes share count in both. peak: the most so far.

    Args:
        gpus: how many the attempt holds, from now on.
    """

    def __init__(self, *, gpus: int) -> None:
        self._gpus = gpus
        self._began = time.monotonic()
        self._family: list[psutil.Process] = []
        self._seconds: dict[int, float] = {}  # CPU-seconds by process
        self.resident = self.peak = 0

    def sample(self, pid: int, *, family: bool = True) -> None:
        """family: look for what it has started since, instead of at those that are known."""
        resident = 0
        with suppress(psutil.Error):  # here and below: it has just ended
            if family:
                root = psutil.Process(pid)
                self._family = [root, *root.children(recursive=True)]
        for process in self._family:
            with suppress(psutil.Error), process.oneshot():
                times = process.cpu_times()
                self._seconds[process.pid] = times.user + times.system
                resident += _resident(process.pid)
        self.resident, self.peak = resident, max(self.peak, resident)

    def cost(self) -> Cost:
        return Cost(
            cpu_seconds=sum(list(self._seconds.values())), gpu_seconds=self._gpus * (time.monotonic() - self._began)
        )


def resident_family(pid: int) -> int:
    """Bytes that a process and all that it has started hold in memory, counted as CostMeter does."""
    root = psutil.Process(pid)
    return sum(_resident(process.pid) for process in (root, *root.children(recursive=True)))


def _resident(pid: int) -> int:
    """Bytes that a process itself holds in memory: anonymous and shared ones (proc(5), `status`)."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:  # it has just ended
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(("RssAnon:", "RssShmem:")))
