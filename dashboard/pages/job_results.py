"""What a job has yielded: checkpoints, files, and what its model said before and after."""

from contextlib import suppress
from functools import partial
from urllib.parse import urlencode

from nicegui import ui
from nicegui.element import Element
from starlette.requests import Request
from tunesmith import AsyncPage, NotFoundError
from tunesmith.samples import figures as compared
from tunesmith.types import Artifact, Checkpoint, Job, Sample

from dashboard.cells import job_path, model_cell
from dashboard.elements import Column, Table, Text, box, button, link, panel, text_column
from dashboard.frame import PAGE_SECONDS, Frame, frame
from dashboard.job_frame import JobFrame, job_of
from dashboard.pages.job_rollouts import said, text_of
from dashboard.words import clipped, number, percent, size

SHOWN = 50  # samples
COUNTED = {"accuracy": "Of pairs, the better response has the higher score", "exact match": "Exactly as expected"}


@ui.page("/jobs/{job_id}/results", response_timeout=PAGE_SECONDS)
async def results_page(request: Request, job_id: str) -> None:
    with frame(f"Results of {clipped(job_id, 40)}", request) as here:
        job = await job_of(here, job_id)
        if job is None:
            return
        head = JobFrame(here, job, "/results")
        with panel("Checkpoints"):
            checkpoints = Table(
                checkpoint_columns(here),
                empty="None yet. Each is a model that jobs may start from.",
                label="checkpoints",
            )
        given = request.query_params.get("step", "")
        step = int(given) if given.isdecimal() and len(given) < 10 else None
        with panel("Files" if step is None else f"Files of the checkpoint after step {number(step)}", id="files"):
            none = (
                "They come with the end of the job." if step is None else "There is no such checkpoint, or no longer."
            )
            files = Table(file_columns(here, job, step), empty=none, label="files")
            if step is not None:
                link("Those that the job yielded", job_path(job.id, "/results#files"))

        with panel("Before and after"):
            samples = box("div")
        seen = None

        async def refresh() -> None:
            nonlocal seen
            if head.job.ended and seen == head.job.status:
                return
            now = await here.api.fine_tuning.jobs.retrieve(job.id)
            head.show(now)
            page = await here.api.fine_tuning.jobs.checkpoints.list(job.id, limit=100)
            checkpoints.show({checkpoint.id: checkpoint for checkpoint in page.data})
            if now.status != seen:  # files and samples come all at once, with the end
                files.show({artifact.id: artifact for artifact in await artifacts(here, job, step)})
                show_samples(samples, await here.api.fine_tuning.jobs.samples(job.id, limit=SHOWN))
                seen = now.status

        await here.live(refresh)


async def artifacts(here: Frame, job: Job, step: int | None) -> list[Artifact]:
    """Those of the checkpoint after that step, or of the job; none where the checkpoint is gone."""
    with suppress(NotFoundError):
        return [artifact async for artifact in here.api.fine_tuning.jobs.artifacts.list(job.id, step=step)]
    return []


def checkpoint_columns(here: Frame) -> list[Column]:
    def start(checkpoint: Checkpoint) -> None:
        query = urlencode({"model": checkpoint.fine_tuned_model_checkpoint})
        with box("div", "actions"):
            link("Start a job", f"/jobs/new?{query}", classes="button nowrap")
            files = job_path(checkpoint.fine_tuning_job_id, f"/results?step={checkpoint.step_number}#files")
            link("Files", files, classes="button", aria_label=f"files of step {checkpoint.step_number}")

    def figures(checkpoint: Checkpoint) -> str:
        """Those of the contract that repeat another under its own name are left out."""
        known = [(name, value) for name, value in checkpoint.metrics.items() if value is not None and name != "step"]
        return ", ".join(f"{name} {number(value, 4)}" for name, value in known if not name.startswith("full_valid_"))

    return [
        text_column("Step", lambda one: number(one.step_number), number=True),
        Column("Model", lambda one: model_cell(one.fine_tuned_model_checkpoint), lambda one: one.id),
        text_column("Figures", figures),
        text_column("Created", lambda one: here.time(one.created_at), number=True),
        Column("", start, lambda one: one.id),
    ]


def file_columns(here: Frame, job: Job, step: int | None) -> list[Column]:
    async def download(name: str) -> None:
        """By a fresh link: those that the API signs are good for a while only."""

        async def go() -> None:
            async for artifact in here.api.fine_tuning.jobs.artifacts.list(job.id, step=step):
                if artifact.name == name:
                    ui.navigate.to(artifact.url)

        await here.trying(go)

    def fetch(artifact: Artifact) -> None:
        button("Download", partial(download, artifact.name), aria_label=f"download {artifact.name}")

    return [
        text_column("File", lambda one: clipped(one.name, 120), classes="mono"),
        text_column("Size", lambda one: size(one.bytes), number=True),
        text_column("SHA-256", lambda one: one.sha256, classes="mono break"),
        Column("", fetch, lambda one: one.id),
    ]


def show_samples(place: Element, page: AsyncPage[Sample]) -> None:
    place.clear()
    with place:
        if not page.data:
            Text("p", "None. A job with a validation file has them when it ends.", classes="quiet")
            return
        Text("p", summary(page), classes="quiet")
        for sample in page.data:
            show_comparison(sample) if sample.responses else show_sample(sample)


def summary(page: AsyncPage[Sample]) -> str:
    """How much better it got, where that can be counted."""
    said = [f"The first {len(page.data)} answers."] if page.has_more else []
    for what, (before, after) in compared(page.data).items():
        said.append(f"{COUNTED[what]}: {percent(before)} before, {percent(after)} after.")
    return " ".join(said) or f"{len(page.data)} answers."


def show_sample(sample: Sample) -> None:
    with box("article", "sample", aria_label=f"sample of row {sample.row}"):
        prompt = (
            sample.prompt if isinstance(sample.prompt, str) else text_of((sample.prompt or [{}])[-1].get("content"))
        )
        Text("h3", f"Row {sample.row}")
        said(prompt)
        with box("div", "thirds"):
            for title, text in (("Expected", sample.expected), ("Before", sample.before), ("After", sample.after)):
                if text or title == "After":
                    with box("div"):
                        right = title != "Expected" and sample.expected and text.strip() == sample.expected.strip()
                        Text("h4", f"{title} ✓ as expected" if right else title)
                        said(text)


def show_comparison(sample: Sample) -> None:
    with box("article", "sample", aria_label=f"sample of row {sample.row}"):
        Text("h3", f"Row {sample.row}: responses, best first, and their scores")
        for response in sample.responses:
            Text(
                "p", f"rank {response.rank}: {response.before:.3f} before, {response.after:.3f} after", classes="quiet"
            )
            said(response.text)
