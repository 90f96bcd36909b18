"""Several jobs beside one another: their curves, and what differs between their specs."""

import asyncio
from typing import Any
from urllib.parse import urlencode

from nicegui import ui
from starlette.requests import Request
from tunesmith.types import Job, MetricSeries, Series

from dashboard import draft
from dashboard.cells import job_cell
from dashboard.charts import MAX_POINTS, Charts, Look
from dashboard.elements import Column, Table, Text, badge, box, link, panel, text_column
from dashboard.filters import field
from dashboard.frame import frame
from dashboard.words import clipped, number

MOST = 8


@ui.page("/compare")
async def compare_page(request: Request) -> None:
    ids = list(dict.fromkeys(id.strip() for id in request.query_params.get("jobs", "").split(",") if id.strip()))
    with frame("Compare", request) as here:
        Text("h1", "Compare")
        with box("form", "filters", method="get", action="/compare"):
            field(f"Jobs, up to {MOST} ids with commas", "jobs", {"jobs": ",".join(ids)}, style="width: 420px")
            Text("button", "Show", classes="button primary", type="submit")
        if not ids:
            Text("p", "Name some jobs, or tick them on the page of jobs and choose Compare.", classes="quiet")
            return
        if len(ids) > MOST:
            Text("p", f"Only the first {MOST} of {len(ids)} jobs are shown.", classes="note", role="status")
        jobs = await here.fetched(asyncio.gather(*map(here.api.fine_tuning.jobs.retrieve, ids[:MOST])))
        if jobs is None:
            return
        with panel("Jobs"):
            Table(JOBS, empty="", label="jobs").show({job.id: job for job in jobs})
        with panel("What differs between their specs"):
            differing = differences(jobs)
            columns = [text_column("Key", lambda row: row[0], classes="mono")]
            columns += [
                text_column(name_of(job), lambda row, i=i: clipped(row[1][i], 200), classes="mono")
                for i, job in enumerate(jobs)
            ]
            Table(columns, empty="Nothing.", label="differences").show({row[0]: row for row in differing})
        look = Look(smooth="smooth" in request.query_params)
        query = {"jobs": ",".join(ids)} | ({} if look.smooth else {"smooth": "1"})
        with box("div", "top"):
            Text("h2", "Figures")
            box("div", "grow")
            pressed = str(look.smooth).lower()
            link("Smoothed", f"/compare?{urlencode(query)}", classes="button", role="button", aria_pressed=pressed)
        charts = Charts(look)

        async def refresh() -> None:
            retrieve = here.api.fine_tuning.jobs.metrics.retrieve
            found = await asyncio.gather(*(retrieve(job.id, max_points=MAX_POINTS) for job in jobs))
            charts.show_groups(overlaid(jobs, found))

        await here.live(refresh)


JOBS = [
    Column("Job", job_cell, lambda job: job.id),
    Column("Status", lambda job: badge(job.status), lambda job: job.status),
    text_column("Name", lambda job: clipped(job.suffix or "", 60)),
    text_column("Model", lambda job: clipped(job.model, 60), classes="mono"),
    text_column("Steps", lambda job: number(job.step), number=True),
]


def name_of(job: Job) -> str:
    return f"{job.suffix or ''} …{job.id[-6:]}".strip()


def overlaid(jobs: list[Job], found: list[MetricSeries]) -> dict[str, dict[str, Series]]:
    """A chart for each figure that any of them has, a curve for each job."""
    names = sorted({name for one in found for name in one.series})
    return {
        name: {name_of(job): one.series[name] for job, one in zip(jobs, found, strict=True) if name in one.series}
        for name in names
    }


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
