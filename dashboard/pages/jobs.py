"""All jobs, narrowed down by what the address says; and what can be done to several at once."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from urllib.parse import urlencode

from nicegui import ui
from nicegui.element import Element
from starlette.requests import Request
from tunesmith import AuthenticationError, TunesmithError
from tunesmith.types import Job

from dashboard.cells import job_cell, method_of, progress_cell, took
from dashboard.draft import of_job
from dashboard.elements import Column, Table, Text, badge, box, button, link, shown, text_column
from dashboard.filters import Pages, asked_of, choice, field, filters, words_of
from dashboard.frame import PAGE_SECONDS, Frame, confirmed, frame
from dashboard.spec_schema import METHODS
from dashboard.words import clipped, duration, error_words

PER_PAGE = 50
MOST_COMPARED = 8
MOST_TOLD = 5  # refusals, word by word
STATUSES = ("validating_files", "queued", "running", "pausing", "paused", "succeeded", "failed", "cancelled")
FILTERS = ("search", "status", "method", "model", "project_id", "metadata", "from_job")
ACTIONS = {"cancel": "danger", "pause": "", "resume": "", "clone": ""}
QUESTIONS = {
    "cancel": "Cancel {count} jobs? What they have trained since their last checkpoint is lost.",
    "clone": "Submit {count} jobs with the specs of these?",
}


@ui.page("/jobs", response_timeout=PAGE_SECONDS)
async def jobs(request: Request) -> None:
    asked = asked_of(request, *FILTERS)
    after = request.query_params.get("after") or None
    with frame("Jobs", request) as here:
        with box("div", "top"):
            Text("h1", "Jobs")
            box("div", "grow")
            link("New job", "/jobs/new", classes="button primary")
        filter_form(here, asked)
        bulk = Bulk(here)
        with box("section", "panel"):
            table = Table(columns(here, bulk), empty=nothing(asked), label="jobs")
        pages = Pages("/jobs", asked, after)

        async def refresh() -> None:
            page = await here.api.fine_tuning.jobs.list(limit=PER_PAGE, after=after, **wanted(asked))
            table.show({job.id: job for job in page.data})
            bulk.keep({job.id for job in page.data})
            pages.show(page)

        bulk.refresh = refresh
        await here.live(refresh)


def wanted(asked: dict[str, str]) -> dict[str, Any]:
    """The filters as the API takes them; metadata is written `key=value`, several with commas."""
    given: dict[str, Any] = dict(asked)
    if "metadata" in asked:
        pairs = (pair.partition("=") for pair in asked["metadata"].split(","))
        given["metadata"] = {key.strip(): value.strip() for key, _, value in pairs}
    return given


def nothing(asked: dict[str, str]) -> str:
    if asked:
        return "No job is like that. Clear a filter to see more."
    return "No jobs yet. Submit one by New job above, or with the openai package, with curl or with `tunesmith`."


def filter_form(here: Frame, asked: dict[str, str]) -> None:
    with filters("/jobs", asked):
        field("Search", "search", asked, type="search", placeholder="id, model, suffix, error …")
        choice("Status", "status", asked, words_of(STATUSES, first="any"))
        choice("Method", "method", asked, words_of(METHODS, first="any"))
        field("Model", "model", asked)
        field("Metadata", "metadata", asked, placeholder="key=value")
        field("Goes on from", "from_job", asked, placeholder="ftjob-…")
        if here.operator:
            field("Project", "project_id", asked, placeholder="proj_…")


class Bulk:
    """The jobs that are ticked, and what can be done to all of them."""

    refresh: Callable[[], Awaitable[None]]

    def __init__(self, here: Frame) -> None:
        self.here, self.ticked = here, dict[str, Element]()
        with box("div", "top hidden") as self.bar:
            self.count = Text("span", role="status")
            for name, classes in ACTIONS.items():
                if name == "clone" and here.operator:  # whose key has no project to submit to
                    continue
                button(name.capitalize(), lambda name=name: self.act(name), classes=classes)
            self.compare = link("Compare", "#", classes="button")

    def tick(self, job_id: str, tick_box: Element, ticked: bool) -> None:
        if ticked:
            self.ticked[job_id] = tick_box
        else:
            self.ticked.pop(job_id, None)
        shown(self.bar, bool(self.ticked))
        self.count.show(f"{len(self.ticked)} ticked")
        shown(self.compare, 2 <= len(self.ticked) <= MOST_COMPARED)
        self.compare.props["href"] = f"/compare?{urlencode({'jobs': ','.join(self.ticked)})}"

    def keep(self, job_ids: set[str]) -> None:
        """Those that are no longer on the page are no longer ticked."""
        for job_id in self.ticked.keys() - job_ids:
            self.tick(job_id, self.ticked[job_id], False)

    async def act(self, name: str) -> None:
        chosen = list(self.ticked)
        question = QUESTIONS.get(name, "").format(count=len(chosen))
        if question and not await confirmed(question, f"{name.capitalize()} them"):
            return
        await self.here.trying(partial(self._each, name, chosen))
        await self.here.trying(self.refresh)

    async def _each(self, name: str, job_ids: list[str]) -> None:
        """What is refused for one is told at the end, and stops nothing."""
        refused: list[str] = []
        for job_id in job_ids:
            try:
                await self._do(name, job_id)
            except AuthenticationError:
                raise
            except TunesmithError as error:
                refused.append(f"{job_id}: {error_words(error)}")
        if len(refused) < len(job_ids):
            self.here.say(f"{name}: {len(job_ids) - len(refused)} of {len(job_ids)} jobs")
        if refused:
            more = f" … and {len(refused) - MOST_TOLD} more" if len(refused) > MOST_TOLD else ""
            self.here.say(f"{name} was refused. {' '.join(refused[:MOST_TOLD])}{more}", fault=True)

    async def _do(self, name: str, job_id: str) -> None:
        jobs = self.here.api.fine_tuning.jobs
        if name == "clone":
            await jobs.create(of_job(await jobs.retrieve(job_id)))
        else:
            await getattr(jobs, name)(job_id)


def columns(here: Frame, bulk: Bulk) -> list[Column]:
    def tick_box(job: Job) -> None:
        made = box("input", type="checkbox", aria_label=f"tick {job.id}")
        made.on("change", lambda event: bulk.tick(job.id, made, bool(event.args)), js_handler=CHECKED)

    found = [
        Column("", tick_box, lambda job: job.id),
        Column("Job", job_cell, lambda job: job.id),
        Column("Status", lambda job: badge(job.status), lambda job: job.status),
        text_column("Method", method_of),
        text_column("Model", lambda job: clipped(job.model, 60), classes="mono"),
        text_column("Name", lambda job: clipped(job.suffix or "", 60)),
        Column("Progress", progress_cell, lambda job: (job.step, job.total_steps)),
        text_column("Created", lambda job: here.time(job.created_at), number=True),
        text_column("Took", lambda job: duration(took(job)), number=True),
    ]
    if here.operator:
        found.insert(3, text_column("Project", lambda job: clipped(job.project_id or "", 40), classes="mono"))
    return found


CHECKED = "(event) => emit(event.target.checked)"
