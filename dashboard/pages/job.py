"""One job: what it is, what has happened to it, and its figures."""

import csv
import io
from collections.abc import Iterator

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response, StreamingResponse
from nicegui import ui
from starlette.requests import Request
from tunesmith import APIStatusError, AsyncPages, TunesmithError
from tunesmith.types import Attempt, Event, Job, MetricSeries

from dashboard.cells import job_link, job_path, method_of, model_cell, path_of, took
from dashboard.charts import MAX_POINTS, Charts, FiguresInWords, Look, controls, in_order
from dashboard.elements import Column, Table, Text, box, link, panel, shown, text_column
from dashboard.frame import PAGE_SECONDS, Frame, frame
from dashboard.job_frame import JobFrame, job_of
from dashboard.lineage import files_of, options
from dashboard.words import clipped, duration, error_words, number, size

ATTEMPTS = 20  # that are shown: the latest
EVENTS = 50  # of the timeline at first, and more at each wish
MOST_POINTS = 10_000  # of a figure in the CSV: what the API gives at once


@ui.page("/jobs/{job_id}", response_timeout=PAGE_SECONDS)
async def job_page(request: Request, job_id: str) -> None:
    with frame(f"Job {clipped(job_id, 40)}", request) as here:
        job = await job_of(here, job_id)
        if job is None:
            return
        await here.live(JobPage(here, job, Look.of(request.query_params)).refresh)


class JobPage:
    """What is on the page; asked for again where there is an event that it has not seen."""

    def __init__(self, here: Frame, job: Job, look: Look) -> None:
        self.here, self.job_id = here, job.id
        self.head = JobFrame(here, job, "")
        with box("div", "halves"):
            with panel("What it is"):
                self.about = About(here)
            with panel("What happened", classes="timeline"):
                self.timeline = Timeline(here, job.id)
        with panel("Attempts"):
            self.attempts = Attempts(here, job.id)
        with box("div", "top", id="figures"):
            Text("h2", "Figures")
            box("div", "grow")
            controls(look, job_path(job.id), {})
            link("CSV", job_path(job.id, "/metrics.csv"), classes="button", download=f"{job.id}.csv")
        self.none = Text("p", classes="quiet")
        self.charts, self.in_words = Charts(look), FiguresInWords()
        self._seen: object = None
        self._settled = False

    async def refresh(self) -> None:
        if self._settled:
            return
        jobs = self.here.api.fine_tuning.jobs
        job = await jobs.retrieve(self.job_id)  # before its events: the last of them comes with its end
        self.head.show(job)
        self.about.show(job)
        latest = await jobs.events.list(self.job_id, limit=1)
        if (seen := [event.seq for event in latest.data]) != self._seen:
            await self.attempts.refresh()
            await self.timeline.refresh()
            found = await jobs.metrics.retrieve(self.job_id, max_points=MAX_POINTS)
            self.charts.show(found.series)
            self.in_words.show({name: found.series[name] for name in in_order(found.series)})
            self.none.show("It has none." if job.ended else "None yet: they come with the first step.")
            shown(self.none, not found.series)
            self._seen = seen
        self._settled = job.ended


# Fields of a job that its facts are made of.
ABOUT = {
    *("id", "project_id", "created_by", "method", "model", "base_model", "parent_job_id", "fine_tuned_model"),
    *("training_file", "validation_file", "seed", "metadata", "created_at", "started_at", "finished_at"),
}


class About:
    """The facts of a job, and what it has used so far, which changes while it runs and moves nothing else."""

    def __init__(self, here: Frame) -> None:
        self.here, self.place, self._known = here, box("dl", "facts"), ""
        self.used = box("dl", "facts")
        self._figures: dict[str, Text] = {}

    def show(self, job: Job) -> None:
        if (known := job.model_dump_json(include=ABOUT)) != self._known:
            self._known = known
            self.place.clear()
            with self.place:
                self._origin(job)
                self._course(job)
        for name, value in used(job).items():
            if name not in self._figures:
                with self.used:
                    self._figures[name] = row(name, value)
            self._figures[name].show(value)

    def _origin(self, job: Job) -> None:
        """Whose it is, and what it was made from."""
        row("id", job.id, classes="mono")
        row("method", method_of(job).replace("_", " "))
        with linked("model"):
            model_cell(job.model)
        if job.base_model and job.base_model != job.model:
            with linked("base model"):
                model_cell(job.base_model)
        if job.parent_job_id:
            with linked("goes on from"):
                job_link(job.parent_job_id)
        for name in options(job).get("reward_models") or []:
            with linked("rewarded by"):
                model_cell(str(name))
        if job.fine_tuned_model:
            with linked("yielded"):
                model_cell(job.fine_tuned_model)
        for role, file_id in files_of(job):
            with linked(role):
                link(file_id, path_of("data", file_id), classes="mono")
        own = self.here.session.key.project
        of_whom = f"{own.name} ({own.id})" if own and own.id == job.project_id else str(job.project_id)
        row("project", clipped(of_whom))

    def _course(self, job: Job) -> None:
        here = self.here
        row("seed", str(job.seed))
        for key, value in (job.metadata or {}).items():
            row(clipped(key, 64), clipped(value, 512))
        by = f", by the key {clipped(job.created_by.name, 60)} ({job.created_by.id})" if job.created_by else ""
        row("created", here.time(job.created_at) + by)
        if job.started_at:
            row("started", here.time(job.started_at))
        if job.finished_at:
            row("ended", here.time(job.finished_at) + (f", after {duration(took(job))}" if took(job) else ""))


def used(job: Job) -> dict[str, str]:
    """What the job has used so far, in words."""
    if (usage := job.usage) is None:
        return {}
    return {
        "took": f"{duration(usage.gpu_seconds)} of GPU, {duration(usage.cpu_seconds)} of CPU",
        **({"cost": f"{usage.cost.amount:,.2f} {usage.cost.currency}"} if usage.cost else {}),
        "trained": f"{number(usage.trained_tokens)} tokens",
        "moved": f"{size(usage.input_bytes)} read, {size(usage.output_bytes)} written",
    }


def row(name: str, value: str, *, classes: str = "") -> Text:
    """A fact; answers the element with its value."""
    Text("dt", name)
    return Text("dd", value, classes=classes)


def linked(name: str) -> Text:
    """The place of a fact that is a link."""
    Text("dt", name)
    return Text("dd")


class Attempts:
    """Workers' tries at the job, the latest first."""

    def __init__(self, here: Frame, job_id: str) -> None:
        self.here, self.job_id = here, job_id
        self.table = Table(self._columns(), empty="No worker has taken it up.", label="attempts")
        self.more = Text("p", f"The latest {ATTEMPTS} are shown.", classes="quiet hidden")

    async def refresh(self) -> None:
        found = await self.here.api.fine_tuning.jobs.attempts.list(self.job_id, limit=ATTEMPTS)
        self.table.show({attempt.id: attempt for attempt in found.data})
        shown(self.more, found.has_more)

    def _columns(self) -> list[Column]:
        def took(attempt: Attempt) -> str:
            return duration(attempt.ended_at - attempt.started_at) if attempt.ended_at else ""

        def devices(gpus: int) -> str:
            return "CPU" if gpus == 0 else "1 GPU" if gpus == 1 else f"{gpus} GPUs"

        def how(attempt: Attempt) -> str:
            why = f": {clipped(attempt.detail, 300)}" if attempt.detail else ""
            return f"{attempt.outcome or 'runs'}{why}"

        return [
            text_column("Attempt", lambda attempt: number(attempt.number), number=True),
            text_column("Worker", lambda attempt: clipped(attempt.worker, 80), classes="mono break"),
            text_column("On", lambda attempt: devices(attempt.gpus), classes="nowrap"),
            text_column("Started", lambda attempt: self.here.time(attempt.started_at), classes="nowrap"),
            text_column("Took", took, number=True),
            text_column("Outcome", how),
        ]


class Timeline:
    """What has happened, newest first; figures of steps are in the charts."""

    def __init__(self, here: Frame, job_id: str) -> None:
        self.here, self.job_id, self.events = here, job_id, list[Event]()
        self.table = Table(self._columns(), empty="Nothing yet.", label="events")
        self.more = Text("button", "Older", classes="button hidden", type="button")
        self.more.on("click", self._older, args=[])

    async def refresh(self) -> None:
        if not self.events:
            return await self._add_older()
        new: list[Event] = []
        async for event in self._list():
            if event.seq <= self.events[0].seq:
                break
            new.append(event)
        self._show(new + self.events)

    def _list(self, after: str | None = None) -> AsyncPages[Event]:
        events = self.here.api.fine_tuning.jobs.events  # anew each time: the session may be over
        return events.list(self.job_id, type="message", limit=EVENTS, after=after)

    async def _older(self) -> None:
        await self.here.trying(self._add_older)

    async def _add_older(self) -> None:
        page = await self._list(after=self.events[-1].id if self.events else None)
        shown(self.more, page.has_more)
        self._show(self.events + page.data)

    def _show(self, events: list[Event]) -> None:
        by_id = {event.id: event for event in events}  # a second click on "Older" brings the same ones
        self.events = list(by_id.values())
        self.table.show(by_id)

    def _columns(self) -> list[Column]:
        def what(event: Event) -> None:
            if event.level != "info":
                Text("span", event.level, classes=f"badge {'bad' if event.level == 'error' else 'paused'}")
            Text("span", f" {clipped(event.message, 1000)}")

        return [
            text_column("When", lambda event: self.here.time(event.created_at), classes="nowrap"),
            Column("What", what, lambda event: event.id),
        ]


def router() -> APIRouter:
    routes = APIRouter()

    @routes.get("/jobs/{job_id}/metrics.csv")
    async def metrics(request: Request, job_id: str) -> Response:
        """A figure a column, a step a line."""
        jobs = request.state.session.api.fine_tuning.jobs
        try:
            found = await jobs.metrics.retrieve(job_id, max_points=MOST_POINTS)
        except (TunesmithError, ValueError) as error:  # ValueError: what cannot be an id
            status = error.status_code if isinstance(error, APIStatusError) else 502
            return PlainTextResponse(error_words(error), status)
        headers = {"content-disposition": f'attachment; filename="{found.job_id}.csv"'}
        return StreamingResponse(csv_lines(found), media_type="text/csv", headers=headers)

    return routes


def csv_lines(found: MetricSeries) -> Iterator[str]:
    """The header, then every step at which something was measured; what was not is empty."""
    names = in_order(found.series)
    by_step: dict[int, dict[str, float | None]] = {}
    for name in names:
        for step, value in zip(found.series[name].steps, found.series[name].values, strict=True):
            by_step.setdefault(step, {})[name] = value
    yield csv_line(["step", *names])
    for step in sorted(by_step):
        yield csv_line([step, *(by_step[step].get(name) for name in names)])


def csv_line(values: list[object]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(values)
    return line.getvalue()
