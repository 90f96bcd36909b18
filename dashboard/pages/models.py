"""Base models, and what jobs made of them."""

from urllib.parse import urlencode

from nicegui import ui
from starlette.requests import Request
from tunesmith.types import Model

from dashboard.cells import job_link, model_cell
from dashboard.elements import Column, Table, Text, box, link, text_column
from dashboard.filters import Pages, asked_of, choice, field, filters, words_of
from dashboard.frame import PAGE_SECONDS, Frame, frame
from dashboard.words import clipped

PER_PAGE = 50
KINDS = ("base", "fine_tuned", "reward_model")


@ui.page("/models", response_timeout=PAGE_SECONDS)
async def models(request: Request) -> None:
    asked = asked_of(request, "search", "kind")
    after = request.query_params.get("after") or None
    with frame("Models", request) as here:
        Text("h1", "Models")
        with filters("/models", asked):
            field("Search", "search", asked, type="search", placeholder="name, base model, alias …")
            choice("Kind", "kind", asked, words_of(KINDS, first="any"))
        with box("section", "panel"):
            table = Table(columns(here), empty=nothing(asked), label="models")
        pages = Pages("/models", asked, after)

        async def refresh() -> None:
            page = await here.api.models.list(limit=PER_PAGE, after=after, **asked)
            table.show({model.id: model for model in page.data})
            pages.show(page)

        await here.live(refresh, seconds=4.0)


def nothing(asked: dict[str, str]) -> str:
    if asked:
        return "No model is like that. Clear a filter to see more."
    return "No models: the operator fills the catalogue (docs/deployment.md), and jobs make more of them."


def columns(here: Frame) -> list[Column]:
    def job(model: Model) -> None:
        if model.job_id:
            job_link(model.job_id)

    def train(model: Model) -> None:
        target = f"/jobs/new?{urlencode({'model': model.id})}"
        link("Train", target, classes="id", aria_label=f"train on from {model.id}")

    found = [
        Column("Model", lambda model: model_cell(model.id), lambda model: model.id),
        text_column("Kind", lambda model: what(model)),
        text_column("Base model", lambda model: clipped(model.base_model or "", 60), classes="mono"),
        text_column("Also called", lambda model: clipped(", ".join(model.aliases), 100), classes="mono"),
        Column("Job", job, lambda model: model.job_id),
        text_column("Made", lambda model: here.time(model.created or None), number=True),
        Column("", train, lambda model: model.id),
    ]
    if here.operator:
        found.insert(2, text_column("Owner", lambda model: clipped(model.owned_by, 60), classes="mono"))
    return found


def what(model: Model) -> str:
    if model.job_id is None:
        return "base"
    kind = "reward model, " if model.kind == "reward_model" else ""
    return f"{kind}{'adapter' if model.weights == 'adapter' else 'full weights'}"
