from typing import Literal

from pydantic import BaseModel

from core.estimate.memory import Memory
from core.estimate.price import Cost, Time
from core.estimate.service import Estimate, Question
from core.estimate.task import Example
from core.estimate.warnings import Warning


class Interval(BaseModel):
    """Half-widths of 95 % confidence intervals, in tokens."""

    total: int
    trained: int


class Tokens(BaseModel):
    """Of one epoch, over the rows that fit; `padding_saved` is what padding every batch would have added."""

    total: int
    trained: int
    padding_saved: int


class Rows(BaseModel):
    """`too_long` and `unusable` rows make a job fail; `examples` shows the first of them."""

    total: int
    too_long: int
    too_long_is_exact: bool
    unusable: int
    median_tokens: int
    longest_tokens: int
    examples: list[Example]


class EstimateObject(BaseModel):
    """What a job would take. `exact` is false where only a sample of the rows was tokenised."""

    object: Literal["fine_tuning.job.estimate"] = "fine_tuning.job.estimate"
    model: str
    base_model: str
    exact: bool
    sampled_rows: int | None
    interval: Interval | None
    tokens: Tokens
    rows: Rows
    steps: int
    epochs: int
    batch_size: int
    max_length: int
    sequence_length: int | None
    memory: Memory
    time: Time
    cost: Cost
    warnings: list[Warning]

    @classmethod
    def of(cls, question: Question, estimate: Estimate) -> "EstimateObject":
        found = estimate.measured
        return cls(
            model=question.spec.model,
            base_model=question.base.id,
            exact=found.exact,
            sampled_rows=None if found.exact else found.tokenized_rows,
            interval=None if found.exact else Interval(total=found.total_interval, trained=found.trained_interval),
            tokens=Tokens(
                total=found.total_tokens,
                trained=found.trained_tokens,
                padding_saved=max(0, found.padded_tokens - found.total_tokens),
            ),
            rows=Rows(
                total=found.rows,
                too_long=found.too_long,
                too_long_is_exact=found.too_long_is_exact,
                unusable=found.unusable,
                median_tokens=found.median,
                longest_tokens=found.longest,
                examples=found.examples,
            ),
            steps=found.steps,
            epochs=found.epochs,
            batch_size=found.batch_size,
            max_length=found.max_length,
            sequence_length=found.packing.length if found.packing else None,
            memory=estimate.memory,
            time=estimate.time,
            cost=estimate.cost,
            warnings=estimate.warnings,
        )
