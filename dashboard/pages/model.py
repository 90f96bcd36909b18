"""One model, and where it comes from."""

from urllib.parse import quote, urlencode

from nicegui import ui
from starlette.requests import Request
from tunesmith.types import Job, Model

from dashboard.cells import method_of, model_cell
from dashboard.elements import Text, badge, box, button, facts, link, panel
from dashboard.frame import PAGE_SECONDS, Frame, confirmed, frame
from dashboard.lineage import Lineage, Stage, files_of, lineage, options
from dashboard.pages.models import what
from dashboard.words import clipped, number


@ui.page("/models/{name:path}", response_timeout=PAGE_SECONDS)
async def model_page(request: Request, name: str) -> None:
    with frame(clipped(name, 60), request) as here:
        model = await here.fetched(here.api.models.retrieve(name))
        if model is None:
            link("All models", "/models")
            return
        head(here, model)
        with panel("What it is"):
            facts(about(here, model))
        found = await here.fetched(lineage(here.api, model))
        if found is not None:
            with panel("Where it comes from"):
                show_lineage(here, found)


def head(here: Frame, model: Model) -> None:
    async def delete() -> None:
        question = f"Take {clipped(model.id, 120)} out of use? Jobs can no longer start from it."
        if await confirmed(question, "Delete it") and await here.trying(lambda: here.api.models.delete(model.id)):
            ui.navigate.to("/models")

    with box("div", "top"):
        Text("h1", clipped(model.id, 160), classes="break")
        box("div", "grow")
        link("Train on from here", f"/jobs/new?{urlencode({'model': model.id})}", classes="button primary")
        if model.job_id:
            button("Delete", delete, classes="danger")


def about(here: Frame, model: Model) -> list[tuple[str, str]]:
    return [
        ("kind", what(model)),
        ("writes or scores", "scores answers" if model.kind == "reward_model" else "writes answers"),
        *([("base model", model.base_model)] if model.base_model else []),
        *([("also called", ", ".join(model.aliases))] if model.aliases else []),
        ("owner", model.owned_by),
        *([("made", here.time(model.created))] if model.created else []),
    ]


def show_lineage(here: Frame, found: Lineage) -> None:
    with box("ol", "lineage"):
        for stage in found.stages:
            with box("li"):
                show_model(stage.model)
            if stage.job:
                with box("li"):
                    show_job(here, stage, stage.job)
        if found.end:
            with box("li"), box("div", "stage quiet"):
                Text("p", found.end)


def show_model(model: Model) -> None:
    with box("div", "stage"):
        Text("p", "Model" if model.job_id else "Base model", classes="quiet")
        model_cell(model.id)
        if model.job_id:
            Text("p", what(model))


def show_job(here: Frame, stage: Stage, job: Job) -> None:
    with box("div", "stage job"):
        Text("p", f"made by {method_of(job).replace('_', ' ')}", classes="quiet")
        with box("p"):
            link(job.id, f"/jobs/{quote(job.id, safe='')}", classes="mono")
            Text("span", " ")
            badge(job.status)
        with box("dl", "facts"):
            for role, file_id in files_of(job):
                file = stage.files.get(file_id)
                Text("dt", role)
                with box("dd"):
                    if file is None:
                        Text("span", f"{file_id}, deleted since", classes="mono")
                    else:
                        link(clipped(file.filename, 80), f"/data/{quote(file.id, safe='')}")
                        Text("span", f" {number(file.rows)} rows", classes="quiet")
            for name in options(job).get("reward_models") or []:
                Text("dt", "rewarded by")
                with box("dd"):
                    model_cell(str(name))
            Text("dt", "seed")
            Text("dd", str(job.seed))
            Text("dt", "steps")
            Text("dd", number(job.step))
            Text("dt", "ended")
            Text("dd", here.time(job.finished_at))
