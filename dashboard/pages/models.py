"""Base models, and what jobs made of them."""

from urllib.parse import quote, urlencode

from nicegui import ui
from starlette.requests import Request
from tunesmith.types import Model

from dashboard.cells import model_cell
from dashboard.elements import Column, Table, Text, box, link, text_column
from dashboard.filters import choice, field, words_of
from dashboard.frame import PAGE_SECONDS, Frame, frame
from dashboard.words import clipped

PER_PAGE = 50
KINDS = {
    "base": lambda model: model.job_id is None,
    "fine-tuned": lambda model: model.job_id is not None and model.kind != "reward_model",
    "reward model": lambda model: model.kind == "reward_model",
}


@ui.page("/models", response_timeout=PAGE_SECONDS)
async def models(request: Request) -> None:
    asked = {name: request.query_params.get(name, "").strip() for name in ("search", "kind")}
    asked = {name: value for name, value in asked.items() if value}
    given = request.query_params.get("page", "")
    page = int(given) if given.isdecimal() and len(given) < 7 else 0
    with frame("Models", request) as here:
        Text("h1", "Models")
        with box("form", "filters", method="get", action="/models", role="search"):
            field("Search", "search", asked, type="search", placeholder="name, base model, alias …")
            choice("Kind", "kind", asked, words_of(tuple(KINDS), first="any"))
            Text("button", "Show", classes="button primary", type="submit")
            if asked:
                link("Clear", "/models", classes="button")
        found = await here.fetched(here.api.models.list())  # the whole list: the API has no pages of it
        wanted = narrowed(found.data if found else [], asked)
        with box("section", "panel"):
            table = Table(columns(here), empty=nothing(asked), label="models")
            table.show({model.id: model for model in wanted[page * PER_PAGE : (page + 1) * PER_PAGE]})
        with box("nav", "top", aria_label="Pages of the list"):
            if page:
                link("Before", f"/models?{urlencode(asked | {'page': page - 1})}", classes="button")
            if len(wanted) > (page + 1) * PER_PAGE:
                link("Further", f"/models?{urlencode(asked | {'page': page + 1})}", classes="button")
            Text("span", f"{len(wanted)} models", classes="quiet")


def narrowed(models: list[Model], asked: dict[str, str]) -> list[Model]:
    word, kind = asked.get("search", "").lower(), KINDS.get(asked.get("kind", ""))
    return [
        model
        for model in models
        if (kind is None or kind(model))
        and any(word in text.lower() for text in (model.id, model.base_model or "", model.job_id or "", *model.aliases))
    ]


def nothing(asked: dict[str, str]) -> str:
    if asked:
        return "No model is like that. Clear a filter to see more."
    return "No models: the operator fills the catalogue (docs/deployment.md), and jobs make more of them."


def columns(here: Frame) -> list[Column]:
    def job(model: Model) -> None:
        if model.job_id:
            link(model.job_id, f"/jobs/{quote(model.job_id, safe='')}", classes="mono")

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
