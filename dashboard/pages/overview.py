"""What ops look at first: does it run, what waits, what failed."""

import time
from urllib.parse import urlencode

from nicegui import ui
from nicegui.element import Element
from starlette.requests import Request
from tunesmith.types import Failure, Overview, Worker

from dashboard.cells import job_cell, method_of, progress_cell
from dashboard.elements import Column, Table, Text, badge, box, link, panel, text_column
from dashboard.frame import frame
from dashboard.words import ago, clipped, duration, number, size

SHOWN = 20  # running jobs
HOURS = 24


@ui.page("/")
async def overview(request: Request) -> None:
    with frame("Overview", request) as here:
        with box("div", "top"):
            Text("h1", "Overview")
            services = box("div", "top", role="status", aria_label="services")
        figures = Figures()
        with panel("Running"):
            running = Table(
                RUNNING, empty="Nothing runs. Submit a job, and its progress is shown here.", label="running jobs"
            )
        with box("div", "halves"):
            with panel(f"Failures of the last {HOURS} hours"):
                failures = Table(failure_columns(), empty="None.", label="failures by reason")
            with panel(f"Use of the last {HOURS} hours"):
                used = Table(USE, empty="No job has run.", label="use by project")
        workers = None
        if here.operator:
            with panel("Workers"):
                workers = Table(
                    worker_columns(),
                    empty="No worker has reported in the last day: nothing can run. Start one (docs/deployment.md).",
                    label="workers",
                )

        async def refresh() -> None:
            seen = await here.api.overview(hours=HOURS)
            show_services(services, seen)
            figures.show(seen)
            failures.show({f"{failure.code} {failure.param}": failure for failure in seen.failures})
            used.show({str(row.project_id): row for row in seen.usage})
            jobs = await here.api.fine_tuning.jobs.list(status="running", limit=SHOWN)
            running.show({job.id: job for job in jobs.data})
            if workers is not None:
                workers.show({worker.id: worker for worker in (await here.api.ops.workers()).data})

        await here.live(refresh)


class Figures:
    """The row of large figures."""

    def __init__(self) -> None:
        with box("div", "cards"):
            self.running, self.queued, self.oldest = (
                card("running", "running"),
                card("queued", "queued"),
                card("oldest wait"),
            )
            self.waiting = card("waiting for files", "validating_files")
            self.paused = card("paused", "paused")
            self.succeeded, self.failed = card("succeeded", "succeeded"), card("failed", "failed")

    def show(self, seen: Overview) -> None:
        self.running.show(number(seen.jobs.get("running", 0) + seen.jobs.get("pausing", 0)))
        self.queued.show(number(seen.queue.depth))
        self.oldest.show(duration(seen.queue.oldest_wait) if seen.queue.depth else "–")
        self.waiting.show(number(seen.jobs.get("validating_files", 0)))
        self.paused.show(number(seen.jobs.get("paused", 0)))
        self.succeeded.show(number(seen.finished.get("succeeded", 0)))
        self.failed.show(number(seen.finished.get("failed", 0)))


def card(label: str, status: str = "") -> Text:
    with box("div", "card"):
        figure = Text("div", "–", classes="figure")
        if status:
            link(label, f"/jobs?{urlencode({'status': status})}", classes="label")
        else:
            Text("div", label, classes="label")
    return figure


def show_services(place: Element, seen: Overview) -> None:
    place.clear()
    with place:
        for name, state in seen.services.items():
            Text(
                "span",
                f"{name} {'ok' if state == 'ok' else state}",
                classes=f"badge {'ok' if state == 'ok' else 'bad'}",
            )


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


def failure_columns() -> list[Column]:
    def latest(row: Failure) -> None:
        link(row.latest_job_id, f"/jobs/{row.latest_job_id}", classes="mono")

    return [
        text_column("Reason", lambda row: row.code or "unknown", classes="mono"),
        text_column("Jobs", lambda row: number(row.count), number=True),
        text_column("The latest says", lambda row: clipped(row.message, 140)),
        Column("Latest", latest, lambda row: row.latest_job_id),
    ]


def worker_columns() -> list[Column]:
    def state(worker: Worker) -> None:
        badge("ok" if worker.alive else "bad").show("alive" if worker.alive else "gone")

    def at(worker: Worker) -> None:
        for attempt in worker.attempts:
            link(attempt.job_id, f"/jobs/{attempt.job_id}", classes="mono")
            Text("span", f" for {duration(attempt.seconds)} ")

    return [
        text_column("Worker", lambda worker: clipped(worker.id, 60), classes="mono"),
        Column("State", state, lambda worker: worker.alive),
        text_column("Queue", lambda worker: worker.queue or ""),
        text_column("Slots", lambda worker: number(worker.slots), number=True),
        text_column("Devices", lambda worker: ", ".join(f"GPU {device}" for device in worker.devices) or "CPU"),
        Column("At work on", at, lambda worker: [(a.job_id, duration(a.seconds)) for a in worker.attempts]),
        text_column("Memory", lambda worker: size(worker.memory_bytes), number=True),
        text_column("Last seen", lambda worker: ago(worker.last_seen, now=time.time()), number=True),
    ]
