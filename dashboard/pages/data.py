"""Files: what there is, and how more of them come."""

from urllib.parse import quote, urlencode

from nicegui import ui
from starlette.requests import Request
from tunesmith.types import File

from dashboard.elements import Column, Table, Text, badge, box, link, panel, shown, text_column
from dashboard.filters import choice
from dashboard.frame import PAGE_SECONDS, Frame, frame
from dashboard.words import clipped, number, size

PER_PAGE = 50
PURPOSES = ("fine-tune", "fine-tune-results", "evals", "user_data", "assistants", "batch", "vision")


@ui.page("/data", response_timeout=PAGE_SECONDS)
async def data(request: Request) -> None:
    asked = {"purpose": request.query_params["purpose"]} if request.query_params.get("purpose") else {}
    after = request.query_params.get("after") or None
    with frame("Data", request) as here:
        ui.add_head_html('<script src="/static/upload.js"></script>')
        Text("h1", "Data")
        if not here.operator:  # whose keys belong to no project
            upload_form()
        with box("form", "filters", method="get", action="/data", role="search"):
            choice("Purpose", "purpose", asked, [("", "any"), *((name, name) for name in PURPOSES)])
            Text("button", "Show", classes="button primary", type="submit")
            if asked:
                link("Clear", "/data", classes="button")
        with box("section", "panel"):
            table = Table(columns(here), empty=nothing(asked), label="files")
        with box("nav", "top", aria_label="Pages of the list"):
            if after:
                link("Newest", f"/data?{urlencode(asked)}", classes="button")
            older = link("Older", "#", classes="button hidden")

        async def refresh() -> None:
            page = await here.api.files.list(limit=PER_PAGE, after=after, **asked)
            table.show({file.id: file for file in page.data})
            shown(older, page.has_more)
            if page.has_more:
                older.props["href"] = f"/data?{urlencode(asked | {'after': page.data[-1].id})}"

        await here.live(refresh, seconds=4.0)


def nothing(asked: dict[str, str]) -> str:
    return "No file has this purpose." if asked else "No files yet. Upload one above: docs/data-formats.md says which."


def upload_form() -> None:
    """static/upload.js sends it."""
    with panel("Upload"), box("form", "upload filters"):
        with box("label"):
            Text("span", "File (JSONL, JSONL.gz, Parquet, CSV or text)")
            box("input", type="file", name="file")
        with box("label"):
            Text("span", "Purpose")
            with box("select", name="purpose"):
                for purpose in PURPOSES:
                    if purpose != "fine-tune-results":  # made by jobs
                        Text("option", purpose, value=purpose)
        Text("button", "Upload", classes="button primary", type="submit")
        Text("button", "Stop", classes="button stop", type="button", hidden=True)
        box("progress", max=1, hidden=True, aria_label="upload")
        Text("span", role="status")


def columns(here: Frame) -> list[Column]:
    def name(file: File) -> None:
        link(clipped(file.filename, 80), f"/data/{quote(file.id, safe='')}")

    return [
        Column("File", name, lambda file: file.filename),
        text_column("Id", lambda file: file.id, classes="mono id"),
        Column("Status", lambda file: state(file), lambda file: file.status),
        text_column("Purpose", lambda file: file.purpose),
        text_column("Rows of", lambda file: (file.kind or "").replace("_", " ")),
        text_column("Rows", lambda file: number(file.rows), number=True),
        text_column("Size", lambda file: size(file.bytes), number=True),
        text_column("Created", lambda file: here.time(file.created_at), number=True),
    ]


def state(file: File) -> None:
    badge({"processed": "ok", "error": "bad"}.get(file.status, file.status)).show(file.status)
