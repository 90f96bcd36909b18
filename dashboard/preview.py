"""Rows of a file as a model's template renders them: what is trained, what is only read, what is cut off."""

from collections.abc import Mapping
from itertools import groupby
from urllib.parse import urlencode

from nicegui import ui
from tunesmith.types import File, PreviewRow

from dashboard.elements import Text, box, link, panel
from dashboard.frame import Frame
from dashboard.lists import MOST, datalist, model_words, propose
from dashboard.words import number

PER_PAGE = 5
# What tells the states apart beside their colours: underlined, plain, crossed out.
TAGS = {"trained": "u", "masked": "span", "truncated": "s"}
MEANING = {"trained": "the loss is taken on it", "masked": "only read", "truncated": "cut off"}


async def preview_panel(here: Frame, file: File, asked: Mapping[str, str]) -> None:
    """asked: model, offset and max_length, as the address has them."""
    model, longest = asked.get("model", "").strip(), asked.get("max_length", "").strip()
    models = await here.fetched(here.api.models.list(limit=MOST))
    with panel("Rows as a model will see them") as found:
        found.props["id"] = "rows"
        listed = datalist()
        propose(listed, ((other.id, model_words(other)) for other in models.data) if models else [])
        with box("form", "filters", method="get", action="#rows"):
            with box("label"):
                Text("span", "Model")
                box("input", name="model", defaultValue=model, list=listed.html_id, autocomplete="off", required=True)
            with box("label"):
                Text("span", "Longest row, in tokens")
                box("input", name="max_length", defaultValue=longest, inputmode="numeric", placeholder="not cut")
            Text("button", "Show", classes="button", type="submit")
        rows = box("div", "rows", role="status")
        wrong = bool(longest) and not whole(longest)
        with rows:
            if wrong:
                Text("p", "The longest row takes a whole number of tokens, 1 or more.", classes="note fault")
            elif not model:
                Text("p", "Choose a model to see its tokens.", classes="empty")
            else:
                Text("p", "The API renders them …", classes="empty")
        if wrong or not model:
            return
        offset = whole(asked.get("offset")) or 0

    async def fill() -> None:
        page = await here.fetched(
            here.session.patient.files.preview(
                file.id, model=model, offset=offset, limit=PER_PAGE + 1, max_length=whole(longest)
            )
        )
        rows.clear()
        with rows:
            if page is None:
                Text("p", "They can't be shown: see above.", classes="empty")
            else:
                show_rows(page.data[:PER_PAGE])
                ways(asked, offset, has_more=len(page.data) > PER_PAGE)  # the API's list has no ids to go on from

    ui.timer(0.05, fill, once=True)  # a tokenizer that nobody has used yet takes seconds


def whole(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() and len(text) < 10 else None


def show_rows(rows: list[PreviewRow]) -> None:
    with box("p", "legend"):
        for state, tag in TAGS.items():
            Text(tag, state, classes=f"token {state}")
            Text("span", f" {MEANING[state]}   ")
    if not rows:
        Text("p", "No rows here.", classes="empty")
    for row in rows:
        side = f", {row.side}" if row.side else ""
        Text(
            "h3",
            f"Row {row.row}{side}: {number(row.total_tokens)} tokens, {number(row.trained_tokens)} of them trained",
        )
        with box("div", "pre", tabindex=0, role="region", aria_label=f"row {row.row}"):
            for state, tokens in groupby(row.tokens, key=lambda token: token.state):
                text = "".join(token.text for token in tokens)
                Text(TAGS.get(state, "span"), text, classes=f"token {state}", title=state)


def ways(asked: Mapping[str, str], offset: int, *, has_more: bool) -> None:
    """To the rows before and behind."""
    kept = {name: value for name, value in asked.items() if name in ("model", "max_length") and value}
    with box("nav", "top", aria_label="Pages of the rows"):
        if offset:
            link("Earlier rows", f"?{urlencode(kept | {'offset': max(0, offset - PER_PAGE)})}#rows", classes="button")
        if has_more:
            link("Later rows", f"?{urlencode(kept | {'offset': offset + PER_PAGE})}#rows", classes="button")
