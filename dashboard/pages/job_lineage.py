"""Where a job stands in the line of models: what it came from, and what came from it."""

from nicegui import ui
from starlette.requests import Request

from dashboard.elements import box, panel
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
            line = box()
        seen = None

        async def refresh() -> None:
            nonlocal seen
            await head.refresh()
            if head.job.status != seen:  # with its end comes a model
                found = await line_of_job(here.api, head.job)
                line.clear()
                with line:
                    show_lineage(here, found)
                seen = head.job.status
            await goes_on.refresh()

        await here.live(refresh)
