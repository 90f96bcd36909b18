"""The spec of a job, and the same as something to run; and what its trainers have written."""

from nicegui import ui
from starlette.requests import Request

from dashboard import draft, job_code
from dashboard.elements import Text, box, button, link, panel
from dashboard.frame import frame
from dashboard.job_frame import JobFrame
from dashboard.words import clipped

COPY = "(event) => navigator.clipboard.writeText(event.target.closest('section').querySelector('.pre').textContent)"
LOG_LINES = 500  # pieces, of the last of which the log shows so many


@ui.page("/jobs/{job_id}/spec")
async def spec_page(request: Request, job_id: str) -> None:
    with frame(f"Spec of {clipped(job_id, 40)}", request) as here:
        job = await here.fetched(here.api.fine_tuning.jobs.retrieve(job_id))
        if job is None:
            link("All jobs", "/jobs")
            return
        JobFrame(here, job, "/spec")
        body = draft.of_job(job)
        base_url = here.api.base_url
        for title, text in (
            ("As JSON", job_code.as_json(body)),
            ("curl", job_code.as_curl(body, base_url)),
            ("The openai package", job_code.as_openai(body, base_url)),
            ("The tunesmith package", job_code.as_tunesmith(body, base_url)),
        ):
            with panel(title):
                Text("div", text, classes="pre", tabindex=0)
                with box("div", "top"):
                    button("Copy", lambda: None, aria_label=f"copy {title}").on("click", js_handler=COPY)


@ui.page("/jobs/{job_id}/log")
async def log_page(request: Request, job_id: str) -> None:
    with frame(f"Log of {clipped(job_id, 40)}", request) as here:
        job = await here.fetched(here.api.fine_tuning.jobs.retrieve(job_id))
        if job is None:
            link("All jobs", "/jobs")
            return
        head = JobFrame(here, job, "/log")
        with panel("What its trainers have written"):
            log = Text("div", "", classes="pre tall", tabindex=0, role="log", aria_label="log")
        pieces: list[str] = []
        last: str | None = None

        async def refresh() -> None:
            nonlocal last
            head.show(await here.api.fine_tuning.jobs.retrieve(job.id))
            async for piece in here.api.fine_tuning.jobs.logs.list(job.id, after=last, limit=100):
                last = piece.id
                pieces.append(piece.text)
            del pieces[:-LOG_LINES]
            log.show("".join(pieces) or "Nothing yet.")

        await here.live(refresh)
