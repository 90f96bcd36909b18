"""Who is logged in, the projects that are seen with this key, and what their jobs have used, by day."""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from nicegui import ui
from starlette.requests import Request
from tunesmith.types import Project, UsageRow

from dashboard.charts import COLOURS, RULE
from dashboard.elements import Table, Text, box, facts, link, panel, shown, text_column
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
LINES = {"splitLine": {"lineStyle": {"color": RULE}}}
OTHERS = "all others"
NO_PROJECT = "none"
MOST_SHOWN = len(COLOURS) - 1  # projects in the chart; the last colour is that of all others
USAGE_SECONDS = 15.0  # between looks at sums over all jobs of the days


@ui.page("/projects", response_timeout=PAGE_SECONDS)
async def projects(request: Request) -> None:
    days = request.query_params.get("days", "")
    days = days if days in DAYS else "30"
    with frame("Projects", request) as here:
        Text("h1", "Projects")
        key = here.session.key
        with panel("Your key"):
            facts([("name", key.name), ("id", key.id), ("sees", sees(here)), ("organisation", key.organization or "–")])
        with panel("Projects"):
            table = Table(columns(here), empty="None.", label="projects")
        usage = Usage(int(days), request.query_params.get("measure", ""))

        async def everybody() -> dict[str, Project]:
            return {project.id: project async for project in here.api.projects.list()}

        async def refresh() -> None:
            dates = last_days(int(days))  # each time: the page may stay open past midnight
            start = int(datetime.fromisoformat(dates[0]).replace(tzinfo=UTC).timestamp())
            used = here.api.usage.list(start_time=start, group_by=["project", "day"])
            seen, rows = await asyncio.gather(everybody(), used)
            table.show(seen)
            usage.show(rows.data, dates, {project.id: project.name for project in seen.values()})

        await here.live(refresh, seconds=USAGE_SECONDS)


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


class Usage:
    """What jobs have used by day: drawn, and as figures.

    Args:
        days: how many.
        measure: a name of MEASURES; of none, GPU time where any was used, else CPU time.
    """

    def __init__(self, days: int, measure: str) -> None:
        self.days, self.asked, self.names = days, measure, dict[str, str]()
        self.measure = ""
        self.chart: ui.echart | None = None
        with panel("Use by day (UTC, of the jobs' creation)"):
            self.tabs = box("div", "top")
            self.drawing = box("figure", "chart hidden")
            self.table = Table(
                [
                    text_column("Day", lambda row: row.day or ""),
                    text_column("Project", lambda row: clipped(self.names.get(row.project_id, row.project_id), 60)),
                    *FIGURES,
                ],
                empty="No job was created in these days.",
                label="use by day and project",
            )

    def show(self, rows: list[UsageRow], dates: list[str], names: dict[str, str]) -> None:
        """names: of projects, by their ids."""
        self.names = names
        usual = "gpu" if any(row.gpu_seconds for row in rows) else "cpu"
        self._measure(self.asked if self.asked in MEASURES else usual)
        newest = sorted(rows, key=lambda row: row.day or "", reverse=True)
        self.table.show({f"{row.day} {row.project_id}": row for row in newest})
        title, figure, unit = MEASURES[self.measure]
        drawn = options(sums(rows, names, figure), dates, unit)
        self.drawing.props["aria-label"] = f"{title} by day and project"
        if rows and self.chart is None:
            shown(self.drawing, True)
            with self.drawing:
                self.chart = ui.echart(drawn, renderer="svg")
        elif self.chart is not None and drawn != self.chart.options:
            self.chart.options.update(drawn)
            self.chart.update()

    def _measure(self, measure: str) -> None:
        if measure == self.measure:
            return
        self.measure = measure
        self.tabs.clear()
        with self.tabs:
            for key, (title, _, _) in MEASURES.items():
                tab(title, {"days": self.days, "measure": key}, current=key == measure)
            box("div", "grow")
            for days in DAYS:
                tab(f"{days} days", {"days": days, "measure": measure}, current=int(days) == self.days)


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


def sums(
    rows: list[UsageRow], names: dict[str, str], figure: Callable[[UsageRow], float]
) -> dict[str, dict[str, float]]:
    """Figures by day, by project: those with the most first, the rest together. Where two have one name, by id too."""
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        by_day = found.setdefault(row.project_id or NO_PROJECT, {})
        by_day[row.day or ""] = by_day.get(row.day or "", 0) + figure(row)
    largest = sorted(found, key=lambda project: -sum(found[project].values()))
    named = Counter(names.values())
    kept, rest = largest[:MOST_SHOWN], largest[MOST_SHOWN:]
    called = {project: f"{name} ({project})" if named[name] > 1 else name for project, name in names.items()}
    drawn = {called.get(project, project): found[project] for project in kept}
    if rest:
        days = {day for project in rest for day in found[project]}
        drawn[OTHERS] = {day: sum(found[project].get(day, 0) for project in rest) for day in days}
    return drawn


def options(by_project: dict[str, dict[str, float]], dates: list[str], unit: str) -> dict:
    series = [
        {"type": "bar", "stack": "all", "name": name, "data": [round(by_day.get(day, 0), 4) for day in dates]}
        for name, by_day in by_project.items()
    ]
    return {
        "aria": {"enabled": True, "decal": {"show": len(series) > 1}},
        "animation": False,
        "color": list(COLOURS),
        "grid": {"left": 60, "right": 10, "top": 40, "bottom": 30},
        "legend": {"show": True, "type": "scroll", "top": 0},
        "tooltip": {"trigger": "axis"},
        "xAxis": {"type": "category", "data": dates},
        "yAxis": {"type": "value", "name": unit, "minInterval": 0 if unit == "hours" else 1, **LINES},
        "series": series,
    }
