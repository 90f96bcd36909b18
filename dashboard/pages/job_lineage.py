"""Where a job stands in the line of models: what it came from, and what came from it."""

from nicegui import ui
from starlette.requests import Request
from tunesmith import NotFoundError
from tunesmith.types import Job

from dashboard.cells import job_cell, method_of, model_cell
from dashboard.elements import Column, Table, Text, badge, panel, text_column
from dashboard.frame import PAGE_SECONDS, Frame, frame
from dashboard.job_frame import JobFrame, job_of
from dashboard.lineage import lineage
from dashboard.pages.model import show_lineage
from dashboard.words import clipped, error_words

OWN_PART = 16  # characters of a job's id that are in the names of its models
MOST = 100  # jobs that went on from it


@ui.page("/jobs/{job_id}/lineage", response_timeout=PAGE_SECONDS)
async def lineage_page(request: Request, job_id: str) -> None:
    with frame(f"Lineage of {clipped(job_id, 40)}", request) as here:
        job = await job_of(here, job_id)
        if job is None:
            return
        head = JobFrame(here, job, "/lineage")
        with panel("What went on from it"):
            table = Table(AFTER, empty="No job yet: start one from its model or a checkpoint.", label="jobs from it")
            children = await here.fetched(children_of(here, job))
            table.show({child.id: child for child in children or []})
        with panel("Where it comes from"):
            await before(here, job)
        await here.live(head.refresh)


async def children_of(here: Frame, job: Job) -> list[Job]:
    """The jobs that began with one of its models: they name it, and with it the job."""
    found = await here.api.fine_tuning.jobs.list(search=job.id[-OWN_PART:], limit=MOST)
    return [child for child in found.data if child.parent_job_id == job.id]


async def before(here: Frame, job: Job) -> None:
    if method_of(job) == "initialization" and not job.fine_tuned_model:
        Text("p", "Random weights.", classes="quiet")
        return
    try:
        model = await here.api.models.retrieve(job.fine_tuned_model or job.model)
        show_lineage(here, await lineage(here.api, model))
    except NotFoundError as error:  # deleted since
        Text("p", error_words(error), classes="quiet")


AFTER = [
    Column("Job", job_cell, lambda job: job.id),
    Column("Status", lambda job: badge(job.status), lambda job: job.status),
    text_column("Method", method_of),
    Column("Began with", lambda job: model_cell(job.model), lambda job: job.model),
    text_column("Name", lambda job: clipped(job.suffix or "", 60)),
]
