"""Where a job stands in the line of models: what it came from, and what came from it."""

from nicegui import ui
from starlette.requests import Request

from dashboard.elements import panel
from dashboard.frame import PAGE_SECONDS, frame
from dashboard.job_frame import JobFrame, job_of
from dashboard.lineage import line_of_job
from dashboard.lineage_picture import Onward, show_lineage
from dashboard.words import clipped


@ui.page("/jobs/{job_id}/lineage", response_timeout=PAGE_SECONDS)
async def lineage_page(request: Request, job_id: str) -> None:
    with frame(f"Lineage of {clipped(job_id, 40)}", request) as here:
        job = await job_of(here, job_id)
        if job is None:
            return
        head = JobFrame(here, job, "/lineage")
        with panel("Where it comes from, and what goes on from it"):
            goes_on = Onward(here, job.id)
            found = await here.fetched(line_of_job(here.api, job))
            if found is not None:
                show_lineage(here, found)

        async def refresh() -> None:
            await head.refresh()
            await goes_on.refresh()

        await here.live(refresh)
