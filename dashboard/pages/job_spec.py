"""The spec of a job, and the same as something to run."""

from nicegui import ui
from starlette.requests import Request

from dashboard import draft, job_code
from dashboard.elements import Text, box, button, panel
from dashboard.frame import PAGE_SECONDS, frame
from dashboard.job_frame import JobFrame, job_of
from dashboard.words import clipped

# Pages that come over plain HTTP have no navigator.clipboard.
COPY = """(event) => {
  const asked = event.target, text = asked.closest("section").querySelector(".pre");
  if (navigator.clipboard) navigator.clipboard.writeText(text.textContent);
  else { getSelection().selectAllChildren(text); document.execCommand("copy"); }
  asked.textContent = "Copied";
  setTimeout(() => { asked.textContent = "Copy"; }, 1500);
}"""
ENVIRONMENT = "With TUNESMITH_BASE_URL and TUNESMITH_API_KEY in the environment, as in .tunesmith/env."


@ui.page("/jobs/{job_id}/spec", response_timeout=PAGE_SECONDS)
async def spec_page(request: Request, job_id: str) -> None:
    with frame(f"Spec of {clipped(job_id, 40)}", request) as here:
        job = await job_of(here, job_id)
        if job is None:
            return
        head = JobFrame(here, job, "/spec")
        body = draft.of_job(job)
        copied("JSON", job_code.as_json(body), "As asked for, with what came of auto; the rest has its default.")
        copied("curl", job_code.as_curl(body), ENVIRONMENT)
        copied("The openai package", job_code.as_openai(body), ENVIRONMENT)
        copied("The tunesmith package", job_code.as_tunesmith(body), ENVIRONMENT)
        copied("With every default", job_code.as_json({**body, "resources": job.resources, "method": job.method}), "")
        await here.live(head.refresh)


def copied(title: str, text: str, about: str) -> None:
    with panel(title):
        if about:
            Text("p", about, classes="quiet")
        Text("div", text, classes="pre", tabindex=0, role="region", aria_label=title)
        with box("div", "top"):
            button("Copy", lambda: None, aria_label=f"copy {title}").on("click", js_handler=COPY)
