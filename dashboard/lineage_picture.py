"""The picture of where a model stands: boxes in lists, so that it reads in order without being seen; each has its link.

From above: the jobs that go on from it, the model, the job that made it beside what that job was given, the model that
this began with, and so on.
"""

from urllib.parse import urlencode

from nicegui.element import Element
from tunesmith.types import File, Job, Model

from dashboard.cells import job_link, job_path, method_of, model_cell, path_of
from dashboard.elements import Entries, Text, badge, box, link, shown
from dashboard.frame import Frame
from dashboard.lineage import Lineage, Stage, files_of, onward, rewarding
from dashboard.pages.models import what
from dashboard.words import clipped, number


class Onward:
    """The jobs that go on from a job's models; `refresh` brings those that came since, without moving the others."""

    def __init__(self, here: Frame, job_id: str) -> None:
        self.here, self.job_id = here, job_id
        self.none = Text("p", "No job goes on from it yet: start one from the model or a checkpoint.", classes="quiet")
        self.place = box("ul", "branches", aria_label="jobs that go on from it")
        self.more = link("All jobs that go on from it", f"/jobs?{urlencode({'from_job': job_id})}", classes="hidden")
        self._entries = Entries(self.place)

    async def refresh(self) -> None:
        page = await onward(self.here.api, self.job_id)
        shown(self.none, not page.data)
        shown(self.place, bool(page.data))
        shown(self.more, page.has_more)
        jobs = {f"{job.id} {job.status} {job.fine_tuned_model}": job for job in page.data}
        self._entries.show(jobs, lambda name: self._show(jobs[name]))

    def _show(self, job: Job) -> Element:
        starts = job.parent_job_id == self.job_id
        with box("li") as made, box("div", "stage job"):
            with box("p", "quiet"):
                Text("span", f"{method_of(job).replace('_', ' ')}, {'starts from' if starts else 'rewarded by'} ")
                for name in [job.model] if starts else rewarding(job):
                    model_cell(name)
            _job_line(job)
            if job.fine_tuned_model:
                with box("p"):
                    Text("span", "made ")
                    model_cell(job.fine_tuned_model)
        return made


def show_lineage(here: Frame, found: Lineage) -> None:
    with box("ol", "lineage"):
        for stage in found.stages:
            if stage.model:
                with box("li"):
                    show_model(stage.model)
            if stage.job:
                with box("li"), box("div", "made"):
                    show_job(here, stage.job)
                    show_inputs(here, stage, stage.job)
        if found.end:
            with box("li"), box("div", "stage quiet"):
                Text("p", found.end)


def show_model(model: Model) -> None:
    with box("div", "stage"):
        Text("p", "Model" if model.job_id else "Base model", classes="quiet")
        model_cell(model.id)
        if model.job_id:
            Text("p", what(model))


def show_job(here: Frame, job: Job) -> None:
    with box("div", "stage job"):
        Text("p", f"{method_of(job).replace('_', ' ')} job", classes="quiet")
        _job_line(job)
        ended = f"{number(job.step)} steps, ended {here.time(job.finished_at)}, " if job.finished_at else ""
        with box("p", "quiet"):
            Text("span", f"seed {job.seed}, {ended}")
            link("spec", job_path(job.id, "/spec"), aria_label=f"spec of {job.id}")


def _job_line(job: Job) -> None:
    with box("p"):
        job_link(job.id)
        Text("span", " ")
        badge(job.status)


def show_inputs(here: Frame, stage: Stage, job: Job) -> None:
    """The files that a job was given, and the models that it was rewarded by, each with the line that it came along."""
    with box("ul", "inputs", aria_label=f"what {job.id} was given"):
        for role, file_id in files_of(job):
            with box("li"), box("div", "stage"):
                Text("p", role, classes="quiet")
                show_file(file_id, stage.files.get(file_id))
        for name in rewarding(job):
            with box("li"):
                Text("p", "rewarded by", classes="quiet")
                line = stage.rewards[name]
                if not line.stages:
                    model_cell(name)
                show_lineage(here, line)


def show_file(file_id: str, file: File | None) -> None:
    if file is None:
        Text("span", f"{file_id}, deleted since", classes="mono")
        return
    link(clipped(file.filename, 80), path_of("data", file.id))
    Text("span", f" {number(file.rows)} rows", classes="quiet")
