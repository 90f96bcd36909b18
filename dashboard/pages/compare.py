"""Several jobs beside one another: their curves, and what differs between their specs."""

import asyncio
from typing import Any
from urllib.parse import urlencode

from nicegui import ui
from starlette.requests import Request
from tunesmith import BadRequestError, NotFoundError
from tunesmith.types import Job, MetricSeries, Series

from dashboard import draft
from dashboard.cells import job_cell, method_of
from dashboard.charts import MAX_POINTS, Charts, FiguresInWords, Look, controls, distinct, grouped
from dashboard.elements import Column, Table, Text, badge, box, link, panel, text_column
from dashboard.filters import field
from dashboard.frame import PAGE_SECONDS, Frame, frame
from dashboard.pages.jobs import MOST_COMPARED
from dashboard.words import clipped, error_words, number


@ui.page("/compare", response_timeout=PAGE_SECONDS)
async def compare_page(request: Request) -> None:
    ids = ids_of(request)
    with frame("Compare", request) as here:
        Text("h1", "Compare")
        add_form(ids)
        if not ids:
            Text("p", "Add jobs by their ids, or tick some on the page of jobs and choose Compare.", classes="quiet")
            return
        if len(ids) > MOST_COMPARED:
            Text("p", f"Only the first {MOST_COMPARED} of {len(ids)} jobs are shown.", classes="note", role="status")
        found = await here.fetched(asyncio.gather(*(job_or_why(here, id) for id in ids[:MOST_COMPARED]))) or []
        for why in found:
            if isinstance(why, str):
                Text("p", why, classes="note fault", role="alert")
        jobs = [job for job in found if isinstance(job, Job)]
        with panel("Jobs"):
            table = Table(columns(ids), empty="None.", label="jobs")
            table.show({job.id: job for job in jobs})
        if len(jobs) > 1:
            show_differences(jobs)
        look = Look.of(request.query_params)
        with box("div", "top", id="figures"):
            Text("h2", "Figures")
            box("div", "grow")
            controls(look, "/compare", {"jobs": ",".join(ids)})
        await here.live(Curves(here, jobs, look, table).refresh)


def ids_of(request: Request) -> list[str]:
    """What the address names, once each: `jobs`, with commas, and what the form adds to them."""
    given = ",".join((request.query_params.get("jobs", ""), request.query_params.get("add", "")))
    return list(dict.fromkeys(id.strip() for id in given.split(",") if id.strip()))


async def job_or_why(here: Frame, job_id: str) -> Job | str:
    """The job, or what the API says of such an id."""
    try:
        return await here.api.fine_tuning.jobs.retrieve(job_id)
    except (BadRequestError, NotFoundError, ValueError) as error:  # ValueError: what cannot be an id
        return error_words(error)


def add_form(ids: list[str]) -> None:
    with box("form", "filters", method="get", action="/compare"):
        box("input", type="hidden", name="jobs", defaultValue=",".join(ids))
        field("Add a job, by its id", "add", {}, type="search", required="required", placeholder="ftjob-…")
        Text("button", "Add", classes="button primary", type="submit")


def columns(ids: list[str]) -> list[Column]:
    def remove(job: Job) -> None:
        others = urlencode({"jobs": ",".join(id for id in ids if id != job.id)})
        link("Remove", f"/compare?{others}", aria_label=f"remove {job.id}")

    return [
        Column("Job", job_cell, lambda job: job.id),
        Column("Status", lambda job: badge(job.status), lambda job: job.status),
        text_column("Name", lambda job: clipped(job.suffix or "", 60)),
        text_column("Method", method_of),
        text_column("Model", lambda job: clipped(job.model, 60), classes="mono"),
        text_column("Steps", lambda job: number(job.step), number=True),
        Column("", remove, lambda job: job.id),
    ]


def name_of(job: Job) -> str:
    return f"{job.suffix or ''} …{job.id[-6:]}".strip()


def show_differences(jobs: list[Job]) -> None:
    columns = [text_column("Key", lambda row: row[0], classes="mono")]
    columns += [
        text_column(name_of(job), lambda row, i=i: clipped(row[1][i], 200), classes="mono")
        for i, job in enumerate(jobs)
    ]
    with panel("What differs between their specs"):
        table = Table(columns, empty="Nothing.", label="differences")
        table.show({row[0]: row for row in differences(jobs)})


def differences(jobs: list[Job]) -> list[tuple[str, list[str]]]:
    """(path of a key, its value in each job) where they are not all the same; – where a job has no such key."""
    flat = [dict(_flat(draft.of_job(job))) for job in jobs]
    paths = sorted({path for one in flat for path in one})
    rows = [(path, [str(one.get(path, "–")) for one in flat]) for path in paths]
    return [(path, values) for path, values in rows if len(set(values)) > 1]


def _flat(value: Any, path: str = "") -> list[tuple[str, Any]]:
    if not isinstance(value, dict):
        return [(path, value)]
    return [pair for key, below in value.items() for pair in _flat(below, f"{path}.{key}" if path else key)]


class Curves:
    """A chart for each figure, in it a curve for each job; those of jobs that have ended are fetched once.

    table: of the jobs; it says how they stand.
    """

    def __init__(self, here: Frame, jobs: list[Job], look: Look, table: Table) -> None:
        self.here, self.jobs, self.table = here, jobs, table
        self.found: dict[str, MetricSeries] = {}
        self.charts, self.in_words = Charts(look, [name_of(job) for job in jobs]), FiguresInWords()

    async def refresh(self) -> None:
        awaited = [job for job in self.jobs if job.id not in self.found or not job.ended]
        if not awaited:
            return
        api = self.here.api.fine_tuning.jobs
        now = await asyncio.gather(*(api.retrieve(job.id) for job in awaited))
        found = await asyncio.gather(*(api.metrics.retrieve(job.id, max_points=MAX_POINTS) for job in awaited))
        self.found |= {one.job_id: one for one in found}
        by_id = {job.id: job for job in now}
        self.jobs = [by_id.get(job.id, job) for job in self.jobs]
        self.table.show({job.id: job for job in self.jobs})
        groups = overlaid({name_of(job): self.found[job.id] for job in self.jobs})
        self.charts.show_groups(groups)
        self.in_words.show(
            {f"{name}, {job}": curve for name, curves in groups.items() for job, curve in curves.items()}
        )


def overlaid(found: dict[str, MetricSeries]) -> dict[str, dict[str, Series]]:
    """A chart for each figure that any job has, in the order of a job's charts: its curves by the names of the jobs."""
    known = {job: distinct(one.series) for job, one in found.items()}
    names = {name for curves in known.values() for name in curves}
    return {
        name: {job: curves[name] for job, curves in known.items() if name in curves}
        for group in grouped(names).values()
        for name in group
    }
