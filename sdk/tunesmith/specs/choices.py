# pyright: standard, reportMissingImports=false
# Copied from core/specs/choices.py by sdk/tools/copy_core.py: change it there.
"""What `auto` stands for: shared by the trainer, which does it, and the estimate, which foretells it."""

import math
from dataclasses import dataclass

from tunesmith.specs.training import Training


@dataclass(frozen=True)
class Chosen:
    """n_epochs: passes over the rows, the last of them perhaps not whole."""

    n_epochs: int
    batch_size: int
    learning_rate_multiplier: float


def batch_size(options: Training) -> int:
    """Rows per optimiser step."""
    given = options.hyperparameters.batch_size
    return 8 if given == "auto" else given


def total_steps(options: Training, *, rows: int, per_epoch: int) -> int:
    """Optimiser steps of the run.

    Args:
        per_epoch: batches of one pass.
    """
    return options.max_steps or _epochs(options, rows=rows) * per_epoch * options.cycle


def resolve(options: Training, *, rows: int, per_epoch: int) -> Chosen:
    """The hyperparameters, chosen where the job says auto."""
    multiplier = options.hyperparameters.learning_rate_multiplier
    return Chosen(
        math.ceil(total_steps(options, rows=rows, per_epoch=per_epoch) / (per_epoch * options.cycle)),
        batch_size(options),
        1.0 if multiplier == "auto" else multiplier,
    )


def _epochs(options: Training, *, rows: int) -> int:
    given = options.hyperparameters.n_epochs
    if given != "auto":
        return given
    return next((passes for most, passes in options.AUTO_EPOCHS if rows <= most), 1)


def learning_rate(options: Training, *, width: int) -> float:
    """The highest learning rate, before the multiplier.

    LoRA's is ten times that of full training and falls with the model's width. The fit is that of "LoRA Without Regret"
    (Schulman et al., 2025) for the Llama family; its cap for very small models is ours.
    """
    given = options.optimization.learning_rate
    if given != "auto":
        return given
    of_adapter = min(2e-3, 5e-4 * (2000 / width) ** 0.781)
    of_weights = of_adapter if options.weights == "adapter" else of_adapter / 10
    return options.AUTO_LEARNING_RATE_SHARE * of_weights


def max_length(options: Training, *, context: int) -> int:
    """Tokens of a row that are trained at most.

    Raises:
        ValueError: more was asked for than the model's context.
    """
    if options.max_length == "auto":
        return min(context, options.MOST_AUTO_LENGTH)
    if options.max_length > context:
        raise ValueError(f"max_length: {options.max_length} was asked for, but the model's context is {context}")
    return options.max_length


def replayed(options: Training, *, rows: int, available: int) -> int:
    """Rows of the replay file that are trained among so many others."""
    if options.replay is None:
        return 0
    fraction = options.replay.fraction
    return min(available, max(1, round(fraction / (1 - fraction) * rows)))


def held_out(options: Training, *, rows: int) -> int:
    """Training rows that are kept for validation: at least one where a share is asked for, but never the only one."""
    if options.validation_split is None:
        return 0
    return min(rows - 1, max(1, round(options.validation_split * rows)))
