"""Figures for Prometheus; docs/monitoring.md lists them."""

import math
import time
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString
from sqlalchemy.orm import Session
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.access.owner import Owner
from core.ops import repository, tallies
from core.overview.repository import unfinished
from core.workers import repository as workers

# Anybody may send any word as a method, and each would become series that stay.
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
# By name: words, the label, and the values that are there from the start: what was never zero does not seem to rise.
COUNTERS: dict[tallies.Counter, tuple[str, str, tuple[str, ...]]] = {
    "attempts": (
        "Attempts that have ended.",
        "outcome",
        ("succeeded", "failed", "cancelled", "paused", "drained", "fault", "lost"),
    ),
    "attempt_errors": (
        "Faults and failures of attempts.",
        "code",
        ("disk_full", "out_of_memory", "store_refused", "trainer_crashed", "worker_error"),
    ),
    "lease_expiries": (
        "Work that was taken from a silent worker.",
        "kind",
        ("jobs", "files", "webhook_deliveries", "exports", "prompt_checks"),
    ),
    "fenced_writes_refused": (
        "Writes of workers that had lost their work.",
        "kind",
        ("jobs", "files", "webhook_deliveries", "exports", "prompt_checks"),
    ),
    "objects_removed": (
        "What the reconciler has removed from the object store.",
        "kind",
        ("file", "upload_part", "checkpoint", "orphan", "unfinished"),
    ),
}
HISTOGRAMS: dict[tallies.Histogram, str] = {
    "recovery_seconds": "From an attempt's last sign of life until its job trains again.",
    "checkpoint_seconds": "Upload of a checkpoint, and reading it back.",
}


class RequestMetrics:
    """This process's requests, by route: paths would make a series of each id."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "tunesmith_http_requests", "Requests answered.", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "tunesmith_http_request_seconds",
            "Seconds until the answer began.",
            ["method", "route"],
            buckets=SECONDS,
            registry=self.registry,
        )


class MetricsMiddleware:
    """Counts each answer under the template of the route that gave it."""

    def __init__(self, app: ASGIApp, *, metrics: RequestMetrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                route, method = _route(scope), scope["method"] if scope["method"] in METHODS else "other"
                self.metrics.requests.labels(method, route, message["status"]).inc()
                self.metrics.seconds.labels(method, route).observe(time.perf_counter() - started)
            await send(message)

        await self.app(scope, receive, counted)


def _route(scope: Scope) -> str:
    """The template of the path, without the prefix that the route was included with; "none" where no route matched."""
    return getattr(scope.get("route"), "path", "none")


class DeploymentCollector(Collector):
    """The deployment as one transaction sees it. Queries are served by indexes, or read tables that stay small."""

    def __init__(self, session: Session, *, owner: Owner, lease: float) -> None:
        self._session = session
        self._owner = owner
        self._lease = lease

    def collect(self) -> Iterator[Metric]:
        yield from self._work()
        yield from self._workers()
        yield from self._totals()

    def _work(self) -> Iterator[Metric]:
        jobs = GaugeMetricFamily("tunesmith_jobs", "Unfinished jobs.", labels=["status"])
        for status, count in unfinished(self._session, owner=self._owner).items():
            jobs.add_metric([status], count)
        depth = GaugeMetricFamily("tunesmith_queue_depth", "What waits for a worker.", labels=["queue"])
        oldest = GaugeMetricFamily("tunesmith_queue_oldest_wait_seconds", "Wait of the oldest.", labels=["queue"])
        for name, queue in repository.queues(self._session, owner=self._owner).items():
            depth.add_metric([name], queue.depth)
            oldest.add_metric([name], queue.oldest_wait)
        lag = repository.event_lag(self._session)
        yield from (jobs, depth, oldest)
        yield GaugeMetricFamily("tunesmith_event_lag_seconds", "Longest wait of a running attempt's events.", value=lag)

    def _workers(self) -> Iterator[Metric]:
        alive = GaugeMetricFamily("tunesmith_workers_alive", "Processes seen within a lease.", labels=["queue"])
        disk = GaugeMetricFamily("tunesmith_worker_disk_bytes", "Size of a worker's disk.", labels=["worker"])
        free = GaugeMetricFamily("tunesmith_worker_disk_free_bytes", "What is free of it.", labels=["worker"])
        counts = {"train": 0, "cpu": 0, "reconciler": 0}
        for worker, is_alive in workers.seen_since(self._session, seconds=self._lease):
            counts[worker.queue] = counts.get(worker.queue, 0) + is_alive
            if is_alive and worker.disk_bytes is not None and worker.disk_free_bytes is not None:
                disk.add_metric([worker.id], worker.disk_bytes)
                free.add_metric([worker.id], worker.disk_free_bytes)
        for name, count in counts.items():
            alive.add_metric([name], count)
        yield from (alive, disk, free)

    def _totals(self) -> Iterator[Metric]:
        totals = tallies.totals(self._session)
        for name, (text, label, known) in COUNTERS.items():
            counter = CounterMetricFamily(f"tunesmith_{name}", text, labels=[label])
            found = {value: total for (counted, value), total in totals.counters.items() if counted == name}
            for value, total in {**dict.fromkeys(known, 0.0), **found}.items():
                counter.add_metric([value], total)
            yield counter
        for name, text in HISTOGRAMS.items():
            buckets, below = totals.buckets.get(name, {}), 0
            cumulated: list[tuple[str, float]] = []
            for bound in (*tallies.BOUNDS[name], math.inf):
                below += buckets.get(bound, 0)
                cumulated.append((floatToGoString(bound), below))
            yield HistogramMetricFamily(
                f"tunesmith_{name}", text, buckets=cumulated, sum_value=totals.seconds.get(name, 0.0)
            )


def exposition(requests: RequestMetrics, session: Session, *, owner: Owner, lease: float) -> bytes:
    """All figures in Prometheus's text format. owner: an operator."""
    deployment = CollectorRegistry()
    deployment.register(DeploymentCollector(session, owner=owner, lease=lease))
    return generate_latest(deployment) + generate_latest(requests.registry)
