"""One model, where it comes from, and what goes on from it."""

from urllib.parse import urlencode

from nicegui import ui
from starlette.requests import Request
from tunesmith.types import Model

from dashboard.elements import Text, box, button, facts, link, panel
from dashboard.frame import PAGE_SECONDS, Frame, confirmed, frame
from dashboard.lineage import lineage
from dashboard.lineage_picture import Onward, show_lineage
from dashboard.pages.models import what
from dashboard.words import clipped


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
        with panel("Where it comes from, and what goes on from it"):
            goes_on = Onward(here, model.job_id) if model.job_id else None
            found = await here.fetched(lineage(here.api, model))
            if found is not None:
                show_lineage(here, found)
        if goes_on:
            await here.live(goes_on.refresh)


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
