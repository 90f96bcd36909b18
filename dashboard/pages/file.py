"""One file: what validation found in it, and its rows as a model will see them."""

from typing import Any
from urllib.parse import quote

from nicegui import ui
from starlette.requests import Request
from tunesmith.types import Fault, File, FileReport

from dashboard.bars import bars
from dashboard.elements import Column, Table, Text, box, button, facts, link, panel, text_column
from dashboard.frame import PAGE_SECONDS, Frame, confirmed, frame
from dashboard.lists import MOST, datalist, file_words, propose
from dashboard.preview import preview_panel
from dashboard.words import clipped, number, size

LENGTHS = {"min": "shortest", "p50": "half, up to", "p90": "90 %, up to", "p99": "99 %, up to", "max": "longest"}

SHARES = {"p50": "half have", "p90": "90 %", "p99": "99 %"}


@ui.page("/data/{file_id:path}", response_timeout=PAGE_SECONDS)
async def file_page(request: Request, file_id: str) -> None:
    with frame(clipped(file_id, 60), request) as here:
        file = await here.fetched(here.api.files.retrieve(file_id))
        if file is None:
            link("All files", "/data")
            return
        head(here, file)
        against = request.query_params.get("against", "").strip()
        report = await here.fetched(here.api.files.report(file.id, validation_file=against or None))
        if report is None and against:
            report = await here.fetched(here.api.files.report(file.id))
        with panel("What it is"):
            facts(about(here, file, report))
        if file.status == "uploaded" and file.purpose == "fine-tune":
            Text("p", "It waits for a worker to validate it.", classes="note", role="status")
            await watch(here, file)
        elif report is not None and (report.format or report.faults):
            show_faults(report)
            if report.rows:
                with box("div", "halves"):
                    show_lengths(report)
                    show_repeats(report)
                await show_overlap(here, file, report, against)
        if file.purpose == "fine-tune" and file.status == "processed":
            await preview_panel(here, file, request.query_params)


async def watch(here: Frame, file: File) -> None:
    """Show the page anew once the file is validated."""

    async def look() -> None:
        if (await here.api.files.retrieve(file.id)).status != file.status:
            ui.navigate.to(here.path)

    await here.live(look)


def head(here: Frame, file: File) -> None:
    async def delete() -> None:
        question = f"Delete {clipped(file.filename, 80)}? Jobs that already use it keep its bytes until they end."
        if await confirmed(question, "Delete it") and await here.trying(lambda: here.api.files.delete(file.id)):
            ui.navigate.to("/data")

    with box("div", "top"):
        Text("h1", clipped(file.filename, 120))
        box("div", "grow")
        if file.purpose == "fine-tune" and file.status == "processed":
            link("Train on it", f"/jobs/new?training_file={quote(file.id, safe='')}", classes="button primary")
        button("Delete", delete, classes="danger")


def about(here: Frame, file: File, report: FileReport | None) -> list[tuple[str, str]]:
    form = [report.format or "", (report.kind or "").replace("_", " ")] if report else []
    return [
        ("id", file.id),
        ("status", file.status + (f": {file.status_details}" if file.status_details else "")),
        ("purpose", file.purpose),
        ("rows", number(file.rows)),
        ("format", ", rows of ".join(part for part in form if part) or "–"),
        ("size", size(file.bytes)),
        ("SHA-256", file.sha256 or "–"),
        ("created", here.time(file.created_at)),
        *([("deleted at", here.time(file.expires_at))] if file.expires_at else []),
        *([("keys", ", ".join(report.keys))] if report and report.keys else []),
    ]


def show_faults(report: FileReport) -> None:
    count = report.fault_count or len(report.faults)
    with panel("Faults"):
        if count > len(report.faults):
            Text("p", f"The first {len(report.faults)} of {number(count)}.", classes="quiet")
        columns: list[Column] = [
            text_column("Line", lambda fault: number(fault.line), number=True),
            text_column("Field", lambda fault: fault.field or "the whole row", classes="mono"),
            text_column("What is wrong", lambda fault: clipped(fault.message, 400)),
        ]
        faults: dict[str, Fault] = {str(place): fault for place, fault in enumerate(report.faults)}
        Table(columns, empty="None.", label="faults").show(faults)


def show_lengths(report: FileReport) -> None:
    with panel("Lengths of rows"):
        found = report.characters
        if not found:
            Text("p", "Not known.", classes="empty")
            return
        if histogram := found.get("histogram"):
            bars([(span(bar), bar["rows"]) for bar in histogram], label="rows by their length", unit="rows")
            shares = ", ".join(f"{share} up to {number(found[key])}" for key, share in SHARES.items())
            Text("p", f"Of the rows {shares} characters.", classes="quiet")
        else:  # a report of an earlier version
            quantiles = [(words, found[key]) for key, words in LENGTHS.items() if key in found]
            bars(quantiles, label="lengths of rows", unit="characters")
        Text("p", f"On average {number(found['mean'])}.", classes="quiet")


def span(bar: dict[str, int]) -> str:
    """What lengths a bar is of."""
    least, most = number(bar["min"]), number(bar["max"])
    return f"{least} characters" if least == most else f"{least} to {most} characters"


def show_repeats(report: FileReport) -> None:
    twice: dict[str, Any] = report.duplicates or {}
    with panel("What to look at"):
        facts(
            [
                ("repeated rows", number(twice.get("exact"))),
                ("nearly alike", f"{number(twice.get('near'))} of {number(twice.get('near_rows_compared'))} compared"),
                ("empty answers", number(report.empty_answers)),
                ("refusals", number(report.refused_answers)),
                *personal(report),
            ]
        )


def personal(report: FileReport) -> list[tuple[str, str]]:
    """Rows with personal data, and where the first are; values are shown nowhere."""
    found = {name: told for name, told in (report.personal_data or {}).items() if told.get("rows")}
    if not found:
        return [("personal data", "none found")]
    return [
        (
            name.replace("_", " "),
            f"in {number(told['rows'])} rows, first in lines {', '.join(map(str, told['first_lines']))}",
        )
        for name, told in found.items()
    ]


async def show_overlap(here: Frame, file: File, report: FileReport, against: str) -> None:
    others = await here.fetched(here.api.files.list(purpose="fine-tune", limit=MOST))
    with panel("Rows that a validation file has too"):
        listed = datalist()
        propose(
            listed, ((other.id, file_words(other)) for other in others.data if other.id != file.id) if others else []
        )
        with box("form", "filters", method="get"):
            with box("label"):
                Text("span", "Validation file")
                box("input", name="against", defaultValue=against, list=listed.html_id, autocomplete="off")
            Text("button", "Compare", classes="button", type="submit")
        found = report.overlap
        if found:
            compared = found["near_rows_compared"]
            facts(
                [
                    ("rows in both", number(found["rows"]) + ("" if found["exact"] else ", estimated")),
                    ("prompts in both", number(found["prompts"]) + ("" if found["exact"] else ", estimated")),
                    (
                        "nearly alike",
                        f"{number(found['near_rows'])}, of {number(compared['training'])} rows here and "
                        f"{number(compared['validation'])} there",
                    ),
                ]
            )
        elif against:
            Text("p", "They can't be compared: one of them is not validated.", classes="quiet")
