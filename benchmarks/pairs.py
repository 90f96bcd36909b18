"""Two things measured in turns, so that whatever else the machine does falls on both."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

Measured = TypeVar("Measured")


@dataclass(frozen=True)
class Ratio:
    """The median of the pairs' ratios, and the lowest and highest of them."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f}-{self.high:.2f})"


def in_turns(
    one: Callable[[], Measured], other: Callable[[], Measured], *, pairs: int
) -> list[tuple[Measured, Measured]]:
    """Measure both `pairs` times, after one round that does not count; who begins changes from pair to pair."""
    one(), other()
    measured: list[tuple[Measured, Measured]] = []
    for i in range(pairs):
        if i % 2:
            second = other()
            measured.append((one(), second))
        else:
            first = one()
            measured.append((first, other()))
    return measured


def in_rounds(*sides: Callable[[int], Measured], rounds: int) -> list[tuple[Measured, ...]]:
    """Measure every side once a round, whose number it is given; who begins moves on from round to round."""
    measured: list[tuple[Measured, ...]] = []
    for i in range(rounds):
        order = [(i + k) % len(sides) for k in range(len(sides))]
        found = {side: sides[side](i) for side in order}
        measured.append(tuple(found[side] for side in range(len(sides))))
    return measured


def ratio(pairs: list[tuple[float, float]]) -> Ratio:
    """First over second, pair by pair."""
    ratios = [one / other for one, other in pairs]
    return Ratio(statistics.median(ratios), min(ratios), max(ratios))
