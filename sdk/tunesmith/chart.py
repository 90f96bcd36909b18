"""Curves out of braille dots, two across and four down in each character."""

import math
from collections.abc import Mapping
from itertools import pairwise

from rich.text import Text

from tunesmith.types import Series

ACROSS, DOWN = 2, 4  # dots in a character
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # Unicode's bits, by row and column
BLANK = 0x2800
STYLES = ("cyan", "yellow", "magenta")
LABEL = 9  # characters of the scale at the left


def curves(series: Mapping[str, Series], *, width: int, height: int) -> Text:
    """All series over one pair of axes, in so many characters; points that are no finite number are left out."""
    points = {name: _points(one) for name, one in series.items()}
    everything = [point for some in points.values() for point in some]
    if not everything:
        return Text("no figures yet", style="dim")
    steps, values = [step for step, _ in everything], [value for _, value in everything]
    first, last, low, high = min(steps), max(steps), min(values), max(values)
    columns = max(1, width - LABEL - 1)
    cells: dict[tuple[int, int], tuple[int, str]] = {}
    for style, some in zip(STYLES, points.values(), strict=False):
        dots = [
            (
                _scaled(step, first, last, columns * ACROSS),
                height * DOWN - 1 - _scaled(value, low, high, height * DOWN),
            )
            for step, value in some
        ]
        for x, y in _joined(dots):
            cell = (y // DOWN, x // ACROSS)
            cells[cell] = (cells.get(cell, (0, style))[0] | DOTS[y % DOWN][x % ACROSS], style)
    return _drawn(cells, columns, height, low=low, high=high, first=first, last=last, names=[*points])


def _points(series: Series) -> list[tuple[int, float]]:
    pairs = zip(series.steps, series.values, strict=False)
    return [(step, value) for step, value in pairs if value is not None and math.isfinite(value)]


def _scaled(value: float, low: float, high: float, size: int) -> int:
    return 0 if high == low else min(size - 1, int((value - low) / (high - low) * size))


def _joined(dots: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The dots, and those of the straight lines between each and the next."""
    joined = dots[:1]
    for (x0, y0), (x1, y1) in pairwise(dots):
        pieces = max(abs(x1 - x0), abs(y1 - y0), 1)
        joined += [
            (round(x0 + (x1 - x0) * piece / pieces), round(y0 + (y1 - y0) * piece / pieces))
            for piece in range(1, pieces + 1)
        ]
    return joined


def _drawn(
    cells: dict[tuple[int, int], tuple[int, str]],
    columns: int,
    height: int,
    *,
    low: float,
    high: float,
    first: int,
    last: int,
    names: list[str],
) -> Text:
    text = Text()
    for row in range(height):
        label = f"{high:.4g}" if row == 0 else f"{low:.4g}" if row == height - 1 else ""
        text.append(f"{label:>{LABEL}} ", style="dim")
        for column in range(columns):
            bits, style = cells.get((row, column), (0, ""))
            text.append(chr(BLANK + bits), style=style)
        text.append("\n")
    text.append(" " * (LABEL + 1) + f"step {first}–{last}  ", style="dim")
    for style, name in zip(STYLES, names, strict=False):
        text.append(f"{name} ", style=style)
    return text
