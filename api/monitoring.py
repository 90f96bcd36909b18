"""Figures for Prometheus; docs/monitoring.md lists them."""

import time
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.orm import Session
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.ops import repository
from core.workers import repository as workers

# Anybody may send any word as a method, and each would become series that stay.
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


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
    """The deployment as one transaction sees it."""

    def __init__(self, session: Session, *, lease: float) -> None:
        self._session = session
        self._lease = lease

    def collect(self) -> Iterator[Metric]:
        jobs = GaugeMetricFamily("tunesmith_jobs", "Unfinished jobs.", labels=["status"])
        for status, count in repository.jobs_by_status(self._session).items():
            jobs.add_metric([status], count)
        depth = GaugeMetricFamily("tunesmith_queue_depth", "What waits for a worker.", labels=["queue"])
        oldest = GaugeMetricFamily("tunesmith_queue_oldest_wait_seconds", "Wait of the oldest.", labels=["queue"])
        for name, queue in repository.queues(self._session).items():
            depth.add_metric([name], queue.depth)
            oldest.add_metric([name], queue.oldest_wait)
        alive = GaugeMetricFamily("tunesmith_workers_alive", "Workers seen within a lease.", labels=["queue"])
        counts = {"train": 0, "cpu": 0}
        for worker, is_alive in workers.seen_since(self._session, seconds=self._lease):
            counts[worker.queue] = counts.get(worker.queue, 0) + is_alive
        for name, count in counts.items():
            alive.add_metric([name], count)
        attempts = CounterMetricFamily("tunesmith_attempts", "Attempts that have ended.", labels=["outcome"])
        for outcome, count in repository.attempts_by_outcome(self._session).items():
            attempts.add_metric([outcome], count)
        yield from (jobs, depth, oldest, alive, attempts)


def exposition(requests: RequestMetrics, session: Session, *, lease: float) -> bytes:
    """All figures in Prometheus's text format."""
    deployment = CollectorRegistry()
    deployment.register(DeploymentCollector(session, lease=lease))
    return generate_latest(deployment) + generate_latest(requests.registry)
