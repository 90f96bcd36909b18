from typing import Literal

from pydantic import BaseModel

from core.estimate.compute import Compute
from core.estimate.memory import Memory
from core.estimate.price import Cost, Time
from core.estimate.service import Estimate
from core.estimate.task import Example, RowFigures
from core.estimate.warnings import Warning
from core.specs.job import JobSpec


class Interval(BaseModel):
    """Half-widths of 95 % confidence intervals, in tokens."""

    total: int
    trained: int


class Tokens(BaseModel):
    """Of one pass over the rows, as far as trained; `padding_saved` is what padding every batch would have added.

    Of a method that samples answers: of prompts and answers, each of these as long as it may be.
    """

    total: int
    trained: int
    padding_saved: int


class Rows(BaseModel):
    """`unusable` rows make a job fail, `too_long` ones too where `long_rows` says so; `examples` shows the first.

    `left_out`: of the rows that are too long, those of which nothing is trained.
    """

    total: int
    too_long: int
    left_out: int
    too_long_is_exact: bool
    unusable: int
    median_tokens: int
    longest_tokens: int
    examples: list[Example]

    @classmethod
    def of(cls, rows: RowFigures) -> "Rows":
        return cls(
            total=rows.total,
            too_long=rows.too_long,
            left_out=rows.left_out,
            too_long_is_exact=rows.too_long_is_exact,
            unusable=rows.unusable,
            median_tokens=rows.median,
            longest_tokens=rows.longest,
            examples=rows.examples,
        )


class EstimateObject(BaseModel):
    """What a job would take. `exact` is false where only a sample of the rows was tokenised.

    Of an initialization, which trains nothing, all is 0 but the model's `compute.parameters` and its `memory`.
    """

    object: Literal["fine_tuning.job.estimate"] = "fine_tuning.job.estimate"
    model: str
    base_model: str
    exact: bool
    sampled_rows: int | None
    interval: Interval | None
    tokens: Tokens
    rows: Rows
    validation_rows: Rows | None
    steps: int
    epochs: int
    batch_size: int
    max_length: int
    max_completion_tokens: int | None
    sequence_length: int | None
    memory: Memory
    time: Time
    cost: Cost
    compute: Compute
    warnings: list[Warning]

    @classmethod
    def of(cls, spec: JobSpec, estimate: Estimate, *, base_model: str) -> "EstimateObject":
        tokens, rows, plan = estimate.measured.tokens, estimate.measured.rows, estimate.measured.plan
        validation, exact = estimate.measured.validation_rows, estimate.measured.exact
        return cls(
            model=spec.model or base_model,
            base_model=base_model,
            exact=exact,
            sampled_rows=None if exact else rows.tokenized,
            interval=None if exact else Interval(total=tokens.total_interval, trained=tokens.trained_interval),
            tokens=Tokens(
                total=tokens.total, trained=tokens.trained, padding_saved=max(0, tokens.padded - tokens.total)
            ),
            rows=Rows.of(rows),
            validation_rows=Rows.of(validation) if validation else None,
            steps=plan.steps,
            epochs=plan.epochs,
            batch_size=plan.batch_size,
            max_length=plan.max_length,
            max_completion_tokens=estimate.measured.completion_tokens,
            sequence_length=plan.sequence_length,
            memory=estimate.memory,
            time=estimate.time,
            cost=estimate.cost,
            compute=estimate.compute,
            warnings=estimate.warnings,
        )
