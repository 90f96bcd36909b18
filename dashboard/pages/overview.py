"""What ops look at first: does it run, what waits, what failed."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlencode

from nicegui import ui
from starlette.requests import Request
from tunesmith import TunesmithError
from tunesmith.types import Failure, Overview, Worker

from dashboard.cells import job_cell, job_link, job_path, method_of, progress_cell
from dashboard.elements import Column, Table, Text, badge, box, link, panel, shown, text_column
from dashboard.frame import PAGE_SECONDS, Frame, frame
from dashboard.words import ago, clipped, duration, number, size

SHOWN = 20  # running jobs
HOURS = 24
AT_WORK = ("running", "pausing")  # the states of the jobs that a worker has
SERVICES = ("database", "broker", "storage")
STATES = {"ok": "ok", "unknown": "paused"}  # the classes of their badges; the rest are errors


@ui.page("/", response_timeout=PAGE_SECONDS)
async def overview(request: Request) -> None:
    with frame("Overview", request) as here:
        with box("div", "top"):
            Text("h1", "Overview")
            services = ServiceBadges()
        figures = Figures()
        with panel("Running"):
            running = Table(
                RUNNING, empty="Nothing runs. Submit a job, and its progress is shown here.", label="running jobs"
            )
            every = link("", jobs_of(AT_WORK), classes="hidden")
        with box("div", "halves"):
            with panel(f"Failures of the last {HOURS} hours"):
                failures = Table(failure_columns(), empty="None.", label="failures by reason")
            with panel(f"Use of the last {HOURS} hours"):
                used = Table(USE, empty="No job has run.", label="use by project")
        more = operating(here) if here.operator else []

        async def stands() -> None:
            try:
                seen = await here.api.overview(hours=HOURS)
            except TunesmithError:
                services.show({})
                raise
            services.show(seen.services)
            figures.show(seen)
            failures.show({f"{failure.code} {failure.param}": failure for failure in seen.failures})
            used.show({str(row.project_id): row for row in seen.usage})
            every.show(f"All {number(at_work(seen))} that run")
            shown(every, at_work(seen) > SHOWN)

        async def run() -> None:
            jobs = await here.api.fine_tuning.jobs.list(status=AT_WORK, limit=SHOWN)
            running.show({job.id: job for job in jobs.data})

        async def refresh() -> None:
            await asyncio.gather(stands(), run(), *(show() for show in more))

        await here.live(refresh)


def operating(here: Frame) -> list[Callable[[], Awaitable[None]]]:
    """The tables for operators; answers what brings each up to date."""
    with panel("Queues"):
        waiting = Table(QUEUES, empty="None.", label="queues")
    with panel("Workers"):
        working = Table(
            worker_columns(),
            empty="No worker has reported in the last day: nothing can run. Start one (docs/deployment.md).",
            label="workers",
        )

    async def queues() -> None:
        waiting.show({queue.id: queue for queue in (await here.api.ops.queues()).data})

    async def workers() -> None:
        working.show({worker.id: worker for worker in (await here.api.ops.workers()).data})

    return [queues, workers]


def at_work(seen: Overview) -> int:
    """How many jobs a worker has."""
    return sum(seen.jobs.get(status, 0) for status in AT_WORK)


class Figures:
    """The row of large figures."""

    def __init__(self) -> None:
        with box("div", "cards"):
            self.running, self.queued = card("running", *AT_WORK), card("queued", "queued")
            self.oldest = card("oldest wait")
            self.waiting = card("waiting for files", "validating_files")
            self.paused = card("paused", "paused")
            self.succeeded, self.failed = ended("succeeded"), ended("failed")

    def show(self, seen: Overview) -> None:
        self.running.show(number(at_work(seen)))
        self.queued.show(number(seen.queue.depth))
        self.oldest.show(duration(seen.queue.oldest_wait) if seen.queue.depth else "–")
        self.waiting.show(number(seen.jobs.get("validating_files", 0)))
        self.paused.show(number(seen.jobs.get("paused", 0)))
        self.succeeded.show(number(seen.finished.get("succeeded", 0)))
        self.failed.show(number(seen.finished.get("failed", 0)))


def card(label: str, *statuses: str) -> Text:
    with box("div", "card"):
        figure = Text("div", "–", classes="figure")
        if statuses:
            link(label, jobs_of(statuses), classes="label")
        else:
            Text("div", label, classes="label")
    return figure


def ended(status: str) -> Text:
    """A figure of the last hours; the list that it leads to is of all, the newest first."""
    with box("div", "card"):
        figure = Text("div", "–", classes="figure")
        Text("span", f"{status}, {HOURS} h · ", classes="label")
        link("all", jobs_of([status]), classes="label", aria_label=f"all that {status}")
    return figure


def jobs_of(statuses: Sequence[str]) -> str:
    return f"/jobs?{urlencode({'status': ','.join(statuses)})}"


class ServiceBadges:
    """Whether the services answer. What has not changed is left alone: a screen reader tells of the rest only."""

    def __init__(self) -> None:
        with box("div", "top", role="status", aria_label="services"):
            self.badges = {name: badge("unknown") for name in SERVICES}

    def show(self, states: dict[str, str]) -> None:
        """Those that nothing is told of are unknown."""
        for name, shown_as in self.badges.items():
            state = states.get(name, "unknown")
            if shown_as.text != f"{name} {state}":
                shown_as.show(f"{name} {state}")
                shown_as.classes(replace=f"badge {STATES.get(state, 'bad')}")


RUNNING = [
    Column("Job", job_cell, lambda job: job.id),
    text_column("Method", method_of),
    text_column("Model", lambda job: clipped(job.model, 60), classes="mono"),
    Column("Progress", progress_cell, lambda job: (job.step, job.total_steps)),
    text_column("Time left", lambda job: duration(job.seconds_left), number=True),
]
USE = [
    text_column("Project", lambda row: clipped(row.project or row.project_id or "", 60)),
    text_column("Jobs", lambda row: number(row.jobs), number=True),
    text_column("GPU time", lambda row: duration(row.gpu_seconds), number=True),
    text_column("CPU time", lambda row: duration(row.cpu_seconds), number=True),
]
QUEUES = [
    text_column("Queue", lambda queue: queue.id),
    text_column("Waiting", lambda queue: number(queue.depth), number=True),
    text_column("In hand", lambda queue: number(queue.running), number=True),
    text_column("Oldest wait", lambda queue: duration(queue.oldest_wait) if queue.depth else "–", number=True),
]


def failure_columns() -> list[Column]:
    def latest(row: Failure) -> None:
        link("its page", job_path(row.latest_job_id), classes="nowrap", aria_label=f"page of {row.latest_job_id}")

    return [
        text_column("Reason", lambda row: row.code or "unknown", classes="mono nowrap"),
        text_column("Jobs", lambda row: number(row.count), number=True),
        text_column("The latest says", lambda row: clipped(row.message, 140)),
        Column("Latest", latest, lambda row: row.latest_job_id),
    ]


def worker_columns() -> list[Column]:
    def state(worker: Worker) -> None:
        badge("ok" if worker.alive else "bad").show("alive" if worker.alive else "gone")

    def at(worker: Worker) -> None:
        for attempt in worker.attempts:
            job_link(attempt.job_id)
            Text("span", f" attempt {attempt.attempt}, for {duration(attempt.seconds)} ")

    return [
        text_column("Worker", lambda worker: clipped(worker.id, 60), classes="mono"),
        Column("State", state, lambda worker: worker.alive),
        text_column("Queue", lambda worker: worker.queue or ""),
        text_column("Slots", lambda worker: number(worker.slots), number=True),
        text_column("Devices", lambda worker: ", ".join(f"GPU {device}" for device in worker.devices) or "CPU"),
        Column("At work on", at, lambda worker: [(a.attempt, duration(a.seconds)) for a in worker.attempts]),
        text_column("Memory", lambda worker: size(worker.memory_bytes), number=True),
        text_column("Last seen", lambda worker: ago(worker.last_seen, now=time.time()), number=True),
    ]
