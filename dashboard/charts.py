"""A job's figures as charts: which belong together, and how they are drawn."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nicegui import ui
from tunesmith.types import Series

from dashboard.elements import box, panel

# Okabe and Ito's colours, which colour-blind people tell apart as well, but for those too light for white paper.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#8a6d00", "#4b4f58", "#2b8cbe", "#7a3e9d")
DASHES = ("solid", "dashed", "dotted")
INK, RULE = "#7d8a86", "rgba(125, 138, 134, .25)"  # on light and dark grounds alike
MAX_POINTS = 600
SMOOTH = 0.9  # of the running mean, at each step


@dataclass(frozen=True)
class Group:
    """A chart: its title, and what figures belong into it, by their whole names."""

    title: str
    names: str

    def of(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if re.fullmatch(self.names, name)]


GROUPS = (
    Group("Loss", r"(train|valid|full_valid)_loss"),
    Group("Reward", r"(train|valid|full_valid)_(reward_mean|mean_reward|score_mean)"),
    Group("Scores of graders and reward models", r"(train|valid)_\w+_score_mean"),
    Group("Accuracy", r"(train|valid|full_valid)_(\w*accuracy)"),
    Group("Margins", r"(train|valid)_\w*(margin|chosen|rejected|desirable)\w*"),
    Group("KL divergence", r"(train|valid)_(kl|approximate_kl)"),
    Group("KL coefficient", r"train_kl_coefficient"),
    Group("Entropy", r"(train|valid)_entropy"),
    Group("Length of answers", r"(\w+_)?(completion|reasoning)_tokens_mean"),
    Group("Shares of answers", r"(train|valid)_(truncated_share|zero_variance_share|clip_fraction|explained_variance)"),
    Group("Losses of policy and value", r"(train|valid)_(policy|value)_loss"),
    Group("Learning rate", r"learning_rate"),
    Group("Gradient norm", r"(gradient|grad)_norm"),
    Group("Tokens per second", r"\w*tokens_per_second"),
    Group("Memory", r"\w*(memory|bytes)\w*"),
    Group("Seconds", r"\w*seconds"),
)


def grouped(names: Iterable[str]) -> dict[str, list[str]]:
    """Names by the title of their chart; those that no chart is for come last, each in a chart of its own."""
    left = sorted(names)
    found: dict[str, list[str]] = {}
    for group in GROUPS:
        if own := group.of(left):
            found[group.title] = own
            left = [name for name in left if name not in own]
    return found | {name: [name] for name in left}


def smoothed(values: Sequence[float | None], *, weight: float = SMOOTH) -> list[float | None]:
    """The exponential running mean, without its bias to 0 (Kingma and Ba, 2015, section 3)."""
    found: list[float | None] = []
    mean, seen = 0.0, 0.0
    for value in values:
        if value is None:
            found.append(None)
            continue
        mean = weight * mean + (1 - weight) * value
        seen = weight * seen + (1 - weight)
        found.append(mean / seen)
    return found


@dataclass(frozen=True)
class Look:
    """How charts are drawn, as the address says."""

    smooth: bool = False
    log: bool = False


class Charts:
    """A chart for each group of figures, drawn anew in place: what somebody has zoomed into stays."""

    def __init__(self, look: Look) -> None:
        self.look = look
        self.place = box("div", "halves")
        self._charts: dict[str, ui.echart] = {}

    def show(self, curves: Mapping[str, Series]) -> None:
        """curves: by the names of their figures."""
        self.show_groups({title: {name: curves[name] for name in names} for title, names in grouped(curves).items()})

    def show_groups(self, groups: Mapping[str, Mapping[str, Series]]) -> None:
        """groups: by the titles of their charts, the curves by what the legend calls them."""
        if list(groups) != list(self._charts):
            self.place.clear()
            with self.place:
                self._charts = {title: self._chart(title) for title in groups}
        for title, curves in groups.items():
            chart = self._charts[title]
            chart.options["series"] = [line for i, name in enumerate(curves) for line in self._lines(i, name, curves)]
            chart.options["legend"]["data"] = list(curves)
            chart.update()

    def _chart(self, title: str) -> ui.echart:
        with panel(title):
            chart = ui.echart(options(self.look)).style("height: 240px; width: 100%")
        chart.props["aria-hidden"] = "true"  # the table below has the figures in words
        return chart

    def _lines(self, i: int, name: str, curves: Mapping[str, Series]) -> list[dict[str, Any]]:
        curve = curves[name]
        colour, dash = COLOURS[i % len(COLOURS)], DASHES[i // len(COLOURS) % len(DASHES)]
        few = len(curve.steps) < 60
        common = {"type": "line", "symbol": "circle" if few else "none", "symbolSize": 4, "animation": False}
        raw = common | {"name": name, "data": points(curve.steps, curve.values), "itemStyle": {"color": colour}}
        if not self.look.smooth:
            return [raw | {"lineStyle": {"width": 1.6, "color": colour, "type": dash}}]
        mean = raw | {"data": points(curve.steps, smoothed(curve.values)), "symbol": "none"}
        return [
            raw
            | {
                "lineStyle": {"width": 1, "color": colour, "opacity": 0.3},
                "symbol": "none",
                "tooltip": {"show": False},
            },
            mean | {"lineStyle": {"width": 2, "color": colour, "type": dash}},
        ]


def points(steps: Sequence[int], values: Sequence[float | None]) -> list[list[float | None]]:
    return [[step, value] for step, value in zip(steps, values, strict=True)]


def options(look: Look) -> dict[str, Any]:
    """What ECharts is told of all charts alike."""
    axis = {
        "axisLabel": {"color": INK},
        "axisLine": {"lineStyle": {"color": INK}},
        "splitLine": {"lineStyle": {"color": RULE}},
        "nameTextStyle": {"color": INK},
    }
    return {
        "animation": False,
        "grid": {"left": 8, "right": 16, "top": 34, "bottom": 30, "containLabel": True},
        "legend": {"top": 0, "type": "scroll", "textStyle": {"color": INK}, "data": [], "right": 110, "left": 0},
        "tooltip": {"trigger": "axis", "confine": True, "renderMode": "richText"},  # never markup
        "toolbox": {"right": 0, "top": -4, "feature": {"dataZoom": {"yAxisIndex": False}, "restore": {}}},
        "dataZoom": [{"type": "inside", "zoomOnMouseWheel": "ctrl", "moveOnMouseWheel": False}],
        "xAxis": {"type": "value", "name": "step", "nameLocation": "middle", "nameGap": 24, "min": "dataMin", **axis},
        "yAxis": {"type": "log" if look.log else "value", "scale": True, **axis},
        "series": [],
    }
