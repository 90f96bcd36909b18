"""One job: what it is, what has happened to it, and its figures."""

import csv
import io
from urllib.parse import urlencode

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response
from nicegui import ui
from starlette.requests import Request
from tunesmith import TunesmithError
from tunesmith.types import Event, Job, MetricSeries, Series

from dashboard.cells import method_of, model_cell, took
from dashboard.charts import MAX_POINTS, Charts, Look
from dashboard.elements import Column, Table, Text, box, link, panel, shown, text_column
from dashboard.frame import Frame, frame
from dashboard.job_frame import JobFrame, path_of
from dashboard.words import clipped, duration, error_words, number, size

EVENTS = 50  # of the timeline at first, and more at each wish


@ui.page("/jobs/{job_id}")
async def job_page(request: Request, job_id: str) -> None:
    with frame(f"Job {clipped(job_id, 40)}", request) as here:
        job = await here.fetched(here.api.fine_tuning.jobs.retrieve(job_id))
        if job is None:
            link("All jobs", "/jobs")
            return
        head = JobFrame(here, job, "")
        with box("div", "halves"):
            with panel("What it is"):
                about = About(here)
            with panel("What happened"):
                timeline = Timeline(here, job.id)
        look = Look(smooth="smooth" in request.query_params, log="log" in request.query_params)
        with box("div", "top"):
            Text("h2", "Figures")
            box("div", "grow")
            switch(job.id, look, "smooth", "Smoothed")
            switch(job.id, look, "log", "Log scale")
            link("CSV", path_of(job.id, "/metrics.csv"), classes="button", download=f"{job.id}.csv")
        none_yet = Text("p", "No figures yet: they come with the first step.", classes="quiet")
        charts = Charts(look)
        with box("details", "panel"):
            Text("summary", "The figures in words")
            figures = Table(FIGURES, empty="None yet.", label="figures")

        async def refresh() -> None:
            jobs = here.api.fine_tuning.jobs
            now = await jobs.retrieve(job.id) if not head.job.ended or not about.is_shown else head.job
            if about.is_shown and head.job.ended:
                return  # nothing changes any more
            head.show(now)
            await timeline.refresh()
            found = await jobs.metrics.retrieve(job.id, max_points=MAX_POINTS)
            charts.show(found.series)
            figures.show({name: (name, series) for name, series in sorted(found.series.items())})
            shown(none_yet, not found.series)
            about.show(now)

        await here.live(refresh)


def switch(job_id: str, look: Look, name: str, title: str) -> None:
    """A link that turns one of the looks on or off, as the address has it."""
    on = {key: "1" for key in ("smooth", "log") if getattr(look, key) != (key == name)}
    link(
        title,
        path_of(job_id) + (f"?{urlencode(on)}" if on else ""),
        classes="button",
        role="button",
        aria_pressed=str(bool(getattr(look, name))).lower(),
    )


class About:
    """The facts of a job; made anew when it has changed."""

    def __init__(self, here: Frame) -> None:
        self.here, self.place, self._known = here, box("dl", "facts"), ""

    @property
    def is_shown(self) -> bool:
        return bool(self._known)

    def show(self, job: Job) -> None:
        if (known := job.model_dump_json(exclude={"step", "seconds_left", "estimated_finish"})) == self._known:
            return
        self._known = known
        self.place.clear()
        with self.place:
            self._rows(job)

    def _rows(self, job: Job) -> None:
        here = self.here
        row("id", job.id, classes="mono")
        row("method", method_of(job))
        linked("model", lambda: model_cell(job.model))
        if job.parent_job_id:
            linked(
                "goes on from", lambda: link(str(job.parent_job_id), path_of(str(job.parent_job_id)), classes="mono")
            )
        if job.fine_tuned_model:
            linked("yielded", lambda: model_cell(str(job.fine_tuned_model)))
        for name, file_id in (("training file", job.training_file), ("validation file", job.validation_file)):
            if file_id:
                linked(name, lambda file_id=file_id: link(file_id, f"/data/{file_id}", classes="mono"))
        row("project", job.project_id or "", classes="mono")
        row("seed", str(job.seed))
        for key, value in (job.metadata or {}).items():
            row(clipped(key, 64), clipped(value, 512))
        row("created", here.time(job.created_at))
        if job.started_at:
            row("started", here.time(job.started_at))
        if job.finished_at:
            row("ended", f"{here.time(job.finished_at)}, after {duration(took(job))}")
        if job.usage:
            row("cost", cost(job))


def cost(job: Job) -> str:
    used = job.usage
    assert used is not None
    return (
        f"{duration(used.gpu_seconds)} of GPU, {duration(used.cpu_seconds)} of CPU, "
        f"{number(used.trained_tokens)} tokens trained, "
        f"{size(used.input_bytes)} read, {size(used.output_bytes)} written"
    )


def row(name: str, value: str, *, classes: str = "") -> None:
    Text("dt", name)
    Text("dd", value, classes=classes)


def linked(name: str, cell: object) -> None:
    Text("dt", name)
    with box("dd"):
        cell()  # pyright: ignore[reportCallIssue]


class Timeline:
    """What has happened, newest first; figures of steps are in the charts."""

    def __init__(self, here: Frame, job_id: str) -> None:
        self.here, self.job_id, self.count = here, job_id, EVENTS
        self.table = Table(self._columns(), empty="Nothing yet.", label="events")
        self.more = Text("button", "Older", classes="button hidden", type="button")
        self.more.on("click", self._older, args=[])

    async def refresh(self) -> None:
        found: list[Event] = []
        limit = min(100, self.count + 1)
        async for event in self.here.api.fine_tuning.jobs.events.list(self.job_id, type="message", limit=limit):
            found.append(event)
            if len(found) > self.count:
                break
        self.table.show({event.id: event for event in found[: self.count]})
        shown(self.more, len(found) > self.count)

    async def _older(self) -> None:
        self.count += EVENTS
        await self.here.trying(self.refresh)

    def _columns(self) -> list[Column]:
        def level(event: Event) -> None:
            if event.level != "info":
                Text("span", event.level, classes=f"badge {'bad' if event.level == 'error' else 'paused'}")

        return [
            text_column("When", lambda event: self.here.time(event.created_at), classes="nowrap"),
            Column("", level, lambda event: event.level),
            text_column("What", lambda event: clipped(event.message, 1000)),
        ]


def values_of(series: Series) -> list[float]:
    return [value for value in series.values if value is not None]


FIGURES = [
    text_column("Figure", lambda pair: pair[0], classes="mono"),
    text_column("At step", lambda pair: number(pair[1].steps[-1]) if pair[1].steps else "–", number=True),
    text_column("Last", lambda pair: number(next(iter(values_of(pair[1])[-1:]), None), 4), number=True),
    text_column("Least", lambda pair: number(min(values_of(pair[1]), default=None), 4), number=True),
    text_column("Most", lambda pair: number(max(values_of(pair[1]), default=None), 4), number=True),
]


def router() -> APIRouter:
    routes = APIRouter()

    @routes.get("/jobs/{job_id}/metrics.csv")
    async def metrics(request: Request, job_id: str) -> Response:
        """Every step that was measured, a figure a column."""
        try:
            found = await request.state.session.api.fine_tuning.jobs.metrics.retrieve(job_id)
        except TunesmithError as error:
            return PlainTextResponse(error_words(error), getattr(error, "status_code", 502))
        disposition = f'attachment; filename="{found.job_id}.csv"'
        return Response(as_csv(found), media_type="text/csv", headers={"content-disposition": disposition})

    return routes


def as_csv(found: MetricSeries) -> str:
    by_step: dict[int, dict[str, float | None]] = {}
    for name, series in found.series.items():
        for step, value in zip(series.steps, series.values, strict=True):
            by_step.setdefault(step, {})[name] = value
    file = io.StringIO()
    writer = csv.DictWriter(file, ["step", *sorted(found.series)])
    writer.writeheader()
    writer.writerows({"step": step, **by_step[step]} for step in sorted(by_step))
    return file.getvalue()
