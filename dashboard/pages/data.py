"""Files: what there is, and how more of them come."""

from nicegui import ui
from starlette.requests import Request
from tunesmith.types import File

from dashboard.cells import path_of
from dashboard.elements import Column, Table, Text, badge, box, link, panel, text_column
from dashboard.filters import Pages, asked_of, choice, field, filters, words_of
from dashboard.frame import PAGE_SECONDS, Frame, frame
from dashboard.words import clipped, number, size

PER_PAGE = 50
UPLOADED = ("fine-tune", "evals", "user_data", "assistants", "batch", "vision")
PURPOSES = (*UPLOADED, "fine-tune-results")  # made by jobs


@ui.page("/data", response_timeout=PAGE_SECONDS)
async def data(request: Request) -> None:
    asked = asked_of(request, "purpose")
    after = request.query_params.get("after") or None
    with frame("Data", request) as here:
        ui.add_head_html('<script src="/static/upload.js"></script>')
        Text("h1", "Data")
        if not here.operator:  # whose keys belong to no project
            upload_form()
        with filters("/data", asked):
            choice("Purpose", "purpose", asked, words_of(PURPOSES, first="any"))
        with box("section", "panel"):
            table = Table(columns(here), empty=nothing(here, asked), label="files")
        pages = Pages("/data", asked, after)

        async def refresh() -> None:
            page = await here.api.files.list(limit=PER_PAGE, after=after, **asked)
            table.show({file.id: file for file in page.data})
            pages.show(page)

        await here.live(refresh, seconds=4.0)


def nothing(here: Frame, asked: dict[str, str]) -> str:
    if asked:
        return "No file has this purpose. Clear the filter to see the others."
    where = "Log in with a project's key and upload one" if here.operator else "Upload one above"
    return f"No files yet. {where}: docs/data-formats.md says which."


def upload_form() -> None:
    """static/upload.js sends it."""
    with panel("Upload"), box("form", "upload filters"):
        field("File (JSONL, JSONL.gz, Parquet, CSV or text)", "file", {}, type="file")
        choice("Purpose", "purpose", {}, words_of(UPLOADED))
        Text("button", "Upload", classes="button primary", type="submit")
        Text("button", "Stop", classes="button stop", type="button", hidden=True)
        box("progress", max=1, hidden=True, aria_label="upload")
        Text("span", role="status")


def columns(here: Frame) -> list[Column]:
    def name(file: File) -> None:
        link(clipped(file.filename, 80), path_of("data", file.id))

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
