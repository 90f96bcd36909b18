"""What all pages of one job have: what it is, how it stands, what may be done to it, and the way to its other pages."""

from collections.abc import Awaitable, Callable
from functools import partial
from urllib.parse import urlencode

from nicegui.element import Element
from tunesmith.types import Job

from dashboard.cells import job_path, method_of
from dashboard.elements import ProgressBar, Text, badge, box, button, link, shown
from dashboard.frame import Frame, confirmed
from dashboard.words import clipped, duration

SAMPLING = ("ppo", "reinforcement")  # methods that learn from answers of their own
TABS = (
    ("Job", ""),
    ("Rollouts", "/rollouts"),
    ("Results", "/results"),
    ("Lineage", "/lineage"),
    ("Spec", "/spec"),
    ("Log", "/log"),
)
ACTIONS = {
    "cancel": ("validating_files", "queued", "running", "pausing", "paused"),
    "pause": ("queued", "running"),
    "resume": ("paused",),
}


async def job_of(here: Frame, job_id: str) -> Job | None:
    """The job that a page is about; where there is none, the API's words and the way to all jobs are shown."""
    job = await here.fetched(here.api.fine_tuning.jobs.retrieve(job_id))
    if job is None:
        Text("h1", f"Job {clipped(job_id, 80)}", classes="break")
        link("All jobs", "/jobs")
    return job


class JobFrame:
    """The head of a job's page; `show` it anew when the job has changed."""

    def __init__(self, here: Frame, job: Job, tab: str) -> None:
        self.here, self.job = here, job
        with box("div", "top"):
            Text("h1", clipped(job.suffix or job.id, 80), classes="" if job.suffix else "mono")
            self.state = box("span", role="status", aria_label="state")
            box("div", "grow")
            self.buttons = {name: self._button(name) for name in ACTIONS}
            link("Clone", f"/jobs/new?{urlencode({'clone': job.id})}", classes="button")
        self.reason = Text("p", classes="quiet")
        self.error = Text("p", classes="note fault hidden", role="alert")
        with box("div", "progress-row") as self.progress:
            self.bar = ProgressBar()
        with box("nav", "tabs", aria_label="Pages of this job"):
            for title, ending in TABS:
                if ending == "/rollouts" and method_of(job) not in SAMPLING:
                    continue
                current = {"aria_current": "page"} if ending == tab else {}
                link(title, job_path(job.id, ending), **current)
        self._shown: object = None
        self.show(job)

    def show(self, job: Job) -> None:
        self.job = job
        self._show_state(job)
        for name, states in ACTIONS.items():
            shown(self.buttons[name], job.status in states)
        self.reason.show(reason_of(job))
        shown(self.reason, bool(reason_of(job)))
        if job.error:
            where = f" ({job.error.param})" if job.error.param else ""
            self.error.show(f"{job.error.code or 'error'}: {clipped(job.error.message, 2000)}{where}")
        shown(self.error, job.error is not None)
        shown(self.progress, job.total_steps is not None)
        self.bar.show(job)

    async def refresh(self) -> None:
        if not self.job.ended:
            self.show(await self.here.api.fine_tuning.jobs.retrieve(self.job.id))

    def _show_state(self, job: Job) -> None:
        if job.status != self._shown:
            self.state.clear()
            with self.state:
                badge(job.status)
            self._shown = job.status

    def _button(self, name: str) -> Element:
        async def act() -> None:
            if name == "cancel" and not await confirmed("Cancel this job? It can't be taken up again.", "Cancel it"):
                return
            await self.here.trying(partial(self._do, name))

        return button(name.capitalize(), act, classes="danger" if name == "cancel" else "")

    async def _do(self, name: str) -> None:
        act: Callable[[str], Awaitable[Job]] = getattr(self.here.api.fine_tuning.jobs, name)
        self.show(await act(self.job.id))


def reason_of(job: Job) -> str:
    """Why it is where it is, and how long it will take, in a line."""
    said = [job.status_reason] if job.status_reason and not job.error else []
    if job.queue_position:
        said.append(f"number {job.queue_position} in the queue")
    if job.seconds_left is not None:
        said.append(f"about {duration(job.seconds_left)} left")
    return ", ".join(said)
