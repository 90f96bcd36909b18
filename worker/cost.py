"""What an attempt uses of its machine."""

import time

import psutil

from core.jobs.publishing import Cost


class CostMeter:
    """Samples a trainer and whatever it has started; what has ended keeps the figure of its last sample.

    Args:
        gpus: how many the attempt holds, from now on.
    """

    def __init__(self, *, gpus: int) -> None:
        self._gpus = gpus
        self._began = time.monotonic()
        self._seconds: dict[int, float] = {}  # CPU-seconds by process

    def sample(self, pid: int) -> None:
        try:
            root = psutil.Process(pid)
            for process in (root, *root.children(recursive=True)):
                times = process.cpu_times()
                self._seconds[process.pid] = times.user + times.system
        except psutil.Error:
            return  # it has just ended

    def cost(self) -> Cost:
        return Cost(
            cpu_seconds=sum(list(self._seconds.values())), gpu_seconds=self._gpus * (time.monotonic() - self._began)
        )
