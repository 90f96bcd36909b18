"""Who is logged in, the projects that are seen with this key, and what their jobs have used, by day."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from nicegui import ui
from starlette.requests import Request
from tunesmith.types import UsageRow

from dashboard.elements import Table, Text, box, facts, link, panel, text_column
from dashboard.frame import PAGE_SECONDS, Frame, frame
from dashboard.words import clipped, duration, number, size

DAYS = ("7", "30", "90", "365")
# (name, figure, unit) of what can be drawn.
MEASURES: dict[str, tuple[str, Callable[[UsageRow], float], str]] = {
    "gpu": ("GPU time", lambda row: row.gpu_seconds / 3600, "hours"),
    "cpu": ("CPU time", lambda row: row.cpu_seconds / 3600, "hours"),
    "jobs": ("Jobs", lambda row: row.jobs, "jobs"),
    "tokens": ("Trained tokens", lambda row: row.trained_tokens, "tokens"),
}
# Okabe and Ito's: safe for colour-blind people; patterns tell them apart as well.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
GRID = {"lineStyle": {"color": "rgba(128, 128, 128, 0.35)"}}
OTHERS = "all others"
NO_PROJECT = "none"


@ui.page("/projects", response_timeout=PAGE_SECONDS)
async def projects(request: Request) -> None:
    days = request.query_params.get("days", "")
    days = days if days in DAYS else "30"
    dates = last_days(int(days))
    with frame("Projects", request) as here:
        Text("h1", "Projects")
        key = here.session.key
        with panel("Your key"):
            facts([("name", key.name), ("id", key.id), ("sees", sees(here)), ("organisation", key.organization or "–")])
        found = await here.fetched(here.api.projects.list())
        seen = [project async for project in found] if found else []
        with panel("Projects"):
            table = Table(columns(here), empty="None.", label="projects")
            table.show({project.id: project for project in seen})
        start = int(datetime.fromisoformat(dates[0]).replace(tzinfo=UTC).timestamp())
        used = found and await here.fetched(here.api.usage.list(start_time=start, group_by=["project", "day"]))
        if used:
            names = {project.id: project.name for project in seen}
            show_usage(used.data, names, dates, measure_of(request, used.data))


def sees(here: Frame) -> str:
    project = here.session.key.project
    return f"the project {project.name}" if project else "all projects, as an operator"


def columns(here: Frame) -> list:
    return [
        text_column("Project", lambda project: clipped(project.name, 80)),
        text_column("Id", lambda project: project.id, classes="mono id"),
        text_column("Organisation", lambda project: clipped(project.organization or "", 80)),
        text_column("Created", lambda project: here.time(project.created_at), number=True),
    ]


def last_days(count: int) -> list[str]:
    """Dates of UTC, up to today."""
    today = datetime.now(UTC).date()
    return [str(today - timedelta(days=count - 1 - i)) for i in range(count)]


def measure_of(request: Request, rows: list[UsageRow]) -> str:
    asked = request.query_params.get("measure", "")
    return asked if asked in MEASURES else "gpu" if any(row.gpu_seconds for row in rows) else "cpu"


def show_usage(rows: list[UsageRow], names: dict[str, str], dates: list[str], measure: str) -> None:
    with panel("Use by day (UTC, of the jobs' creation)"):
        with box("div", "top"):
            for key, (title, _, _) in MEASURES.items():
                tab(title, {"days": len(dates), "measure": key}, current=key == measure)
            box("div", "grow")
            for days in DAYS:
                tab(f"{days} days", {"days": days, "measure": measure}, current=int(days) == len(dates))
        if rows:
            draw(rows, names, dates, measure)
        table = Table(
            [
                text_column("Day", lambda row: row.day or ""),
                text_column("Project", lambda row: clipped(names.get(row.project_id or "", row.project_id or ""), 60)),
                *FIGURES,
            ],
            empty="No job was created in these days.",
            label="use by day and project",
        )
        newest = sorted(rows, key=lambda row: row.day or "", reverse=True)
        table.show({f"{row.day} {row.project_id}": row for row in newest})


FIGURES = (
    text_column("Jobs", lambda row: number(row.jobs), number=True),
    text_column("GPU time", lambda row: duration(row.gpu_seconds), number=True),
    text_column("CPU time", lambda row: duration(row.cpu_seconds), number=True),
    text_column("Trained tokens", lambda row: number(row.trained_tokens), number=True),
    text_column("Read", lambda row: size(row.input_bytes), number=True),
    text_column("Written", lambda row: size(row.output_bytes), number=True),
)


def tab(text: str, asked: dict[str, object], *, current: bool) -> None:
    marked = {"aria_current": "true"} if current else {}
    link(text, f"/projects?{urlencode(asked)}", classes="button", **marked)


def draw(rows: list[UsageRow], names: dict[str, str], dates: list[str], measure: str) -> None:
    title, figure, unit = MEASURES[measure]
    sums: dict[str, dict[str, float]] = {}
    for row in rows:
        by_day = sums.setdefault(row.project_id or NO_PROJECT, {})
        by_day[row.day or ""] = by_day.get(row.day or "", 0) + figure(row)
    largest = sorted(sums, key=lambda project: -sum(sums[project].values()))
    shown = {names.get(project, project): sums[project] for project in largest[: len(COLOURS) - 1]}
    if rest := largest[len(COLOURS) - 1 :]:
        shown[OTHERS] = {day: sum(sums[project].get(day, 0) for project in rest) for day in dates}
    with box("figure", "chart", aria_label=f"{title} by day and project"):
        ui.echart(options(shown, dates, unit), renderer="svg")


def options(shown: dict[str, dict[str, float]], dates: list[str], unit: str) -> dict:
    series = [
        {"type": "bar", "stack": "all", "name": name, "data": [round(by_day.get(day, 0), 4) for day in dates]}
        for name, by_day in shown.items()
    ]
    return {
        "aria": {"enabled": True, "decal": {"show": len(series) > 1}},
        "animation": False,
        "color": COLOURS,
        "grid": {"left": 60, "right": 10, "top": 40, "bottom": 30},
        "legend": {"show": True, "type": "scroll", "top": 0},
        "tooltip": {"trigger": "axis"},
        "xAxis": {"type": "category", "data": dates},
        "yAxis": {"type": "value", "name": unit, "minInterval": 0 if unit == "hours" else 1, "splitLine": GRID},
        "series": series,
    }
