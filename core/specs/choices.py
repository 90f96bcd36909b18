"""What `auto` stands for: shared by the trainer, which does it, and the estimate, which foretells it."""

from dataclasses import dataclass

from core.specs.method import Supervised

MOST_AUTO_LENGTH = 4096  # tokens


@dataclass(frozen=True)
class Chosen:
    n_epochs: int
    batch_size: int
    learning_rate_multiplier: float


def resolve(options: Supervised, *, rows: int) -> Chosen:
    """The hyperparameters, chosen where the job says auto."""
    given = options.hyperparameters
    auto_epochs = 3 if rows <= 10_000 else 2 if rows <= 50_000 else 1
    return Chosen(
        auto_epochs if given.n_epochs == "auto" else given.n_epochs,
        8 if given.batch_size == "auto" else given.batch_size,
        1.0 if given.learning_rate_multiplier == "auto" else given.learning_rate_multiplier,
    )


def max_length(options: Supervised, *, context: int) -> int:
    """Tokens of the longest row that is accepted.

    Raises:
        ValueError: more was asked for than the model's context.
    """
    if options.max_length == "auto":
        return min(context, MOST_AUTO_LENGTH)
    if options.max_length > context:
        raise ValueError(f"max_length: {options.max_length} was asked for, but the model's context is {context}")
    return options.max_length
