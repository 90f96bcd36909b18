"""The picture of where a model stands: boxes in lists, so that it reads in order without being seen; each has its link.

From above: the jobs that go on from it, the model, the job that made it beside what that job was given, the model that
this began with, and so on.
"""

from urllib.parse import quote

from tunesmith.types import File, Job, Model

from dashboard.cells import method_of, model_cell
from dashboard.elements import Text, badge, box, link, shown
from dashboard.frame import Frame
from dashboard.job_frame import path_of
from dashboard.lineage import Lineage, Stage, files_of, onward, rewarding
from dashboard.pages.models import what
from dashboard.words import clipped, number


class Onward:
    """The jobs that go on from a job's models; `refresh` brings those that came since, without moving the others."""

    def __init__(self, here: Frame, job_id: str) -> None:
        self.here, self.job_id = here, job_id
        self.none = Text("p", "No job goes on from it yet: start one from the model or a checkpoint.", classes="quiet")
        self.place = box("ul", "branches", aria_label="jobs that go on from it")
        self._known: dict[str, str] = {}

    async def refresh(self) -> None:
        jobs = await onward(self.here.api, self.job_id)
        now = {job.id: f"{job.status} {job.fine_tuned_model}" for job in jobs}
        shown(self.none, not jobs)
        shown(self.place, bool(jobs))
        if now == self._known:
            return
        self._known = now
        self.place.clear()
        with self.place:
            for job in jobs:
                with box("li"):
                    self._show(job)

    def _show(self, job: Job) -> None:
        with box("div", "stage job"):
            how = "starts from it" if job.parent_job_id == self.job_id else "is rewarded by it"
            Text("p", f"{method_of(job).replace('_', ' ')}, {how}", classes="quiet")
            _job_line(job)
            if job.fine_tuned_model:
                with box("p"):
                    Text("span", "made ")
                    model_cell(job.fine_tuned_model)


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
        Text("p", f"seed {job.seed}, {number(job.step)} steps, ended {here.time(job.finished_at)}", classes="quiet")


def _job_line(job: Job) -> None:
    with box("p"):
        link(job.id, path_of(job.id), classes="mono")
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
    link(clipped(file.filename, 80), f"/data/{quote(file.id, safe='')}")
    Text("span", f" {number(file.rows)} rows", classes="quiet")
