"""Which validation was the best, and whether it still gets better; read off a run's history, which a resume keeps."""

from collections.abc import Sequence
from typing import Any

from core.specs.training import EarlyStopping, ValidationMetric

Figures = dict[str, Any]


def best(history: Sequence[Figures], metric: ValidationMetric, *, min_delta: float = 0.0) -> Figures | None:
    """The figures of the first validation that none of the later ones beats by more than `min_delta`."""
    found: Figures | None = None
    for row in history:
        if metric in row and (found is None or _gain(row, found, metric) > min_delta):
            found = row
    return found


def gone_stale(history: Sequence[Figures], metric: ValidationMetric, options: EarlyStopping) -> bool:
    """Whether the last `patience` validations were all no better than one before them."""
    validated = [row for row in history if metric in row]
    top = best(validated, metric, min_delta=options.min_delta)
    return top is not None and len(validated) - 1 - validated.index(top) >= options.patience


def _gain(row: Figures, other: Figures, metric: ValidationMetric) -> float:
    return other[metric] - row[metric] if metric == "valid_loss" else row[metric] - other[metric]
