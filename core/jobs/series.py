"""Figures over steps, thinned for a plot."""

from array import array
from collections.abc import Iterable, Sequence
from typing import Any

from core.errors import InvalidRequest

NOT_SERIES = ("step", "total_steps")


def series(
    rows: Iterable[tuple[int, dict[str, Any]]], *, names: list[str] | None, max_points: int
) -> dict[str, tuple[list[int], list[float]]]:
    """(steps, values) by name, at most `max_points` each; steps at which a figure was not measured are left out.

    Raises:
        InvalidRequest: a name that this job has no figure of.
    """
    found: dict[str, tuple[array[int], array[float]]] = {}
    for step, data in rows:
        for name, value in data.items():
            if name not in NOT_SERIES and isinstance(value, int | float):
                steps, values = found.setdefault(name, (array("q"), array("d")))
                steps.append(step)
                values.append(float(value))
    for name in names or ():
        if name not in found:
            known = ", ".join(sorted(found)) or "none yet"
            raise InvalidRequest(f"names: this job has no series {name!r}; it has {known}", param="names")
    return {name: thin(*found[name], max_points=max_points) for name in names or found}


def thin(steps: Sequence[int], values: Sequence[float], *, max_points: int) -> tuple[list[int], list[float]]:
    """Largest-Triangle-Three-Buckets: keeps first, last, and of each bucket between them what stands out most.

    Source: Sveinn Steinarsson, Downsampling Time Series for Visual Representation, 2013, section 4.2.
    """
    count = len(steps)
    if count <= max_points:
        return list(steps), list(values)
    if max_points == 2:
        return [steps[0], steps[-1]], [values[0], values[-1]]
    width = (count - 2) / (max_points - 2)
    edges = [*(int(i * width) + 1 for i in range(max_points - 2)), count - 1]  # buckets are [edges[i], edges[i + 1])
    kept = [0]
    for i in range(max_points - 2):
        following = range(edges[i + 1], edges[i + 2]) if i + 2 < len(edges) else range(count - 1, count)
        x = sum(steps[k] for k in following) / len(following)
        y = sum(values[k] for k in following) / len(following)
        a = kept[-1]
        kept.append(
            max(
                range(edges[i], edges[i + 1]),
                key=lambda k: abs((steps[a] - x) * (values[k] - values[a]) - (steps[a] - steps[k]) * (y - values[a])),
            )
        )
    kept.append(count - 1)
    return [steps[k] for k in kept], [values[k] for k in kept]
