"""A job's figures as charts: which belong together, and how they are drawn."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from nicegui import ui
from tunesmith.types import Series

from dashboard.elements import Table, Text, box, link, panel, text_column
from dashboard.words import number

# Okabe and Ito's colours, which colour-blind people tell apart as well, but for those too light for white paper or too
# dark for black.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#8a6d00", "#7d8a86", "#2b8cbe", "#9b6bc0")
DASHES = ("solid", "dashed", "dotted")
INK, RULE = "#7d8a86", "rgba(125, 138, 134, .25)"  # on light and dark grounds alike
MAX_POINTS = 600
SMOOTHINGS = {"light": 0.6, "medium": 0.9, "strong": 0.97}  # of the running mean, at each step
SPARE_LINES = 8


@dataclass(frozen=True)
class Group:
    """A chart: its title, and what figures belong into it, a pattern of their names without whose rows they are of."""

    title: str
    names: str

    def of(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if re.fullmatch(self.names, ROWS.sub("", name))]


ROWS = re.compile("^(train|valid|full_valid)_")
GROUPS = (
    Group("Loss", r"loss"),
    Group("Perplexity", r"perplexity"),
    Group("Reward", r"reward_mean|mean_reward|score_mean"),
    Group("Rewards by graders and reward models", r".+_score_mean"),
    Group("Scores of responses", r"score"),
    Group("Spread of scores", r"score_spread"),
    Group("Token accuracy", r"mean_token_accuracy"),
    Group("Accuracy", r"(reward_)?accuracy"),
    Group("Margin", r"(reward_)?margin"),
    Group("Calibration error", r"calibration_error"),
    Group("Rewards of chosen and rejected answers", r"(chosen|rejected)_reward"),
    Group("Log probabilities", r"\w+_log_probability"),
    Group("KL divergence", r"kl|approximate_kl"),
    Group("KL coefficient", r"kl_coefficient"),
    Group("Entropy", r"entropy"),
    Group("Length of answers", r"(completion|reasoning)_tokens_mean"),
    Group("Shares of answers", r"truncated_share|zero_variance_share|clip_fraction"),
    Group("Losses of policy and value", r"(policy|value)_loss"),
    Group("Explained variance", r"explained_variance"),
    Group("Learning rate", r"learning_rate"),
    Group("Gradient norm", r"grad_norm"),
    Group("Tokens per second", r"tokens_per_second"),
    Group("Memory", r"\w*memory\w*"),
    Group("Seconds", r"(\w+_)?seconds"),
)


def in_order(names: Iterable[str]) -> list[str]:
    """Those of training first, so that a curve keeps its colour when validation begins."""
    return sorted(names, key=lambda name: (name.startswith(("valid_", "full_valid_")), name))


def grouped(names: Iterable[str]) -> dict[str, list[str]]:
    """Names by the title of their chart; those that no chart is for come last, each in a chart of its own."""
    left = in_order(names)
    found: dict[str, list[str]] = {}
    for group in GROUPS:
        if own := group.of(left):
            found[group.title] = own
            left = [name for name in left if name not in own]
    return found | {name: [name] for name in left}


def distinct(curves: Mapping[str, Series]) -> dict[str, Series]:
    """Without those that another name of the contract's has as well: `full_valid_loss` is `valid_loss`."""
    found = dict(curves)
    for name, curve in curves.items():
        other = name.replace("full_valid_", "valid_").replace("mean_reward", "reward_mean")
        if other != name and curves.get(other) == curve:
            del found[name]
    return found


def smoothed(values: Sequence[float | None], *, weight: float) -> list[float | None]:
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
    """How charts are drawn, as the address says. smooth: a name among SMOOTHINGS, or empty."""

    smooth: str = ""
    log: bool = False

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Look":
        smooth = query.get("smooth", "")
        return cls(smooth if smooth in SMOOTHINGS else "", "log" in query)

    @property
    def query(self) -> dict[str, str]:
        return ({"smooth": self.smooth} if self.smooth else {}) | ({"log": "1"} if self.log else {})


def controls(look: Look, path: str, query: Mapping[str, str]) -> None:
    """Links to the same page with another look. query: what else its address has."""

    def choice(text: str, other: Look, *, current: bool) -> None:
        asked = urlencode({**query, **other.query})
        marked = {"aria_current": "true"} if current else {}
        link(text, f"{path}{'?' if asked else ''}{asked}#figures", classes="button", **marked)

    with box("div", "top", role="group", aria_label="how figures are drawn"):
        Text("span", "Smoothed", classes="quiet")
        for name in ("", *SMOOTHINGS):
            choice(name.capitalize() or "Not", replace(look, smooth=name), current=name == look.smooth)
        choice("Log scale", replace(look, log=not look.log), current=look.log)


class Charts:
    """A chart for each group of figures, drawn anew in place: what somebody has zoomed into stays.

    curves: names of those that look alike in all charts; without them a chart's first curve looks like any other's.
    """

    def __init__(self, look: Look, curves: Sequence[str] = ()) -> None:
        self.look, self.curves = look, curves
        self.place = box("div", "halves")
        self._charts: dict[str, ui.echart] = {}

    def show(self, curves: Mapping[str, Series]) -> None:
        """curves: by the names of their figures."""
        known = distinct(curves)
        self.show_groups({title: {name: known[name] for name in names} for title, names in grouped(known).items()})

    def show_groups(self, groups: Mapping[str, Mapping[str, Series]]) -> None:
        """groups: by the titles of their charts, the curves by what the legend calls them."""
        for title, curves in groups.items():
            if title not in self._charts:  # behind those that somebody looks at already
                self._charts[title] = self._chart(title)
            chart = self._charts[title]
            lines = self._lines(curves)
            if lines != chart.options["series"]:
                chart.options["series"] = lines
                chart.options["legend"]["data"] = list(curves)
                chart.update()

    def _chart(self, title: str) -> ui.echart:
        with self.place, panel(title):
            chart = ui.echart(options(self.look)).style("height: 240px; width: 100%")
        chart.props["aria-hidden"] = "true"  # the table below has the figures in words
        return chart

    def _lines(self, curves: Mapping[str, Series]) -> list[dict[str, Any]]:
        order = self.curves or list(curves)
        drawn = [line for name, curve in curves.items() for line in self._curve(order.index(name), name, curve)]
        # NiceGUI draws a chart from nothing, without its zoom, when the count of its lines changes: some are to spare.
        return drawn + [{"type": "line", "data": []}] * (-len(drawn) % SPARE_LINES)

    def _curve(self, i: int, name: str, curve: Series) -> list[dict[str, Any]]:
        colour, dash = COLOURS[i % len(COLOURS)], DASHES[i // len(COLOURS) % len(DASHES)]
        few = len(curve.steps) < 60
        common = {"type": "line", "name": name, "itemStyle": {"color": colour}, "animation": False}
        raw = common | {"data": self._points(curve.steps, curve.values), "symbol": "none"}
        if not self.look.smooth:
            line = {"width": 1.6, "color": colour, "type": dash}
            return [raw | {"lineStyle": line, "symbol": "circle" if few else "none", "symbolSize": 4}]
        mean = smoothed(curve.values, weight=SMOOTHINGS[self.look.smooth])
        faint = {"width": 1, "color": colour, "opacity": 0.3}
        return [
            raw | {"lineStyle": faint, "tooltip": {"show": False}},
            common
            | {
                "data": self._points(curve.steps, mean),
                "symbol": "none",
                "lineStyle": {"width": 2, "color": colour, "type": dash},
            },
        ]

    def _points(self, steps: Sequence[int], values: Sequence[float | None]) -> list[list[float | None]]:
        """A logarithmic axis has no place for 0 and what is below: gaps."""
        return [
            [step, None if value is None or (self.look.log and value <= 0) else value]
            for step, value in zip(steps, values, strict=True)
        ]


class FiguresInWords:
    """What the charts show, for those who don't see them: a table that opens."""

    def __init__(self) -> None:
        with box("details", "panel") as self.place:
            Text("summary", "The figures in words")
            self.table = Table(IN_WORDS, empty="None yet.", label="figures")

    def show(self, curves: Mapping[str, Series]) -> None:
        """curves: by what the table calls them."""
        self.table.show({name: (name, curve) for name, curve in curves.items()})


def known_values(curve: Series) -> list[float]:
    return [value for value in curve.values if value is not None]


IN_WORDS = (
    text_column("Figure", lambda row: row[0], classes="mono"),
    text_column("At step", lambda row: number(row[1].steps[-1] if row[1].steps else None), number=True),
    text_column("Last", lambda row: number(next(iter(known_values(row[1])[-1:]), None), 4), number=True),
    text_column("Least", lambda row: number(min(known_values(row[1]), default=None), 4), number=True),
    text_column("Most", lambda row: number(max(known_values(row[1]), default=None), 4), number=True),
)


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
        "legend": {"top": 0, "left": 0, "type": "scroll", "textStyle": {"color": INK}, "data": []},
        "tooltip": {"trigger": "axis", "confine": True, "renderMode": "richText"},  # never markup
        "toolbox": {
            "right": 0,
            "bottom": -6,
            "iconStyle": {"borderColor": INK},
            "feature": {"dataZoom": {"yAxisIndex": False}, "restore": {}},
        },
        "dataZoom": [{"type": "inside", "zoomOnMouseWheel": "ctrl", "moveOnMouseWheel": False}],
        "xAxis": {"type": "value", "name": "step", "nameLocation": "middle", "nameGap": 24, "min": "dataMin", **axis},
        "yAxis": {"type": "log" if look.log else "value", "scale": True, **axis},
        "series": [],
    }
