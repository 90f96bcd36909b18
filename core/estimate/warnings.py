"""What is likely to go wrong, before it costs anything."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from core.estimate.compute import COMPUTE_OPTIMAL, Compute
from core.estimate.memory import Memory
from core.estimate.task import Example, Measured, RowFigures
from core.specs.method import Method, training_options
from core.specs.training import LongRows

FEW_ROWS = 100  # below that models learn rows by heart
FEW_ROWS_FOR_MANY_EPOCHS = 1000
MANY_EPOCHS = 5
DUPLICATE_SHARE = 0.01
OUTLIER = 8  # times the length of the middle row


@dataclass(frozen=True)
class Warning:
    """code: stable, for programs. param: the key of the job that it is about."""

    code: str
    message: str
    param: str


def warnings(
    measured: Measured,
    memory: Memory,
    compute: Compute,
    *,
    method: Method,
    report: dict[str, Any] | None,
    overlap: dict[str, Any] | None,
    gpus: int | None,
) -> list[Warning]:
    """All that apply, the fatal ones first.

    Args:
        method: the job's.
        report: what the validation of the training file found out, where it did.
        overlap: what both files have in common, of `core.rows.sketch`; None where that is not known.
        gpus: what the job asks for.
    """
    options = training_options(method)
    return [
        *_fatal(measured, memory, method=method, gpus=gpus),
        *_answers(measured, method),
        *_template(measured),
        *(_amount_of_text(measured, compute, method) if options.fills_sequences else _amount(measured, method)),
        *_quality(measured, report or {}),
        *_held_out(measured, overlap, split=options.validation_split is not None),
    ]


def _fatal(measured: Measured, memory: Memory, *, method: Method, gpus: int | None) -> Iterator[Warning]:
    options = training_options(method)
    limit = measured.plan.max_length
    read = (
        (measured.rows, "training_file"),
        (measured.validation_rows, "validation_file"),
        (measured.replay_rows, "replay file"),
    )
    for rows, param in read:
        if rows is not None:
            yield from _too_long(
                rows, options.long_rows, limit=limit, param=param, key=f"method.{method.type}.max_length"
            )
            yield from _unusable(rows, param=param)
    yield from no_room(memory, param="model")
    if (gpus or options.quantization) and not any(device.kind == "gpu" for device in memory.devices):
        yield Warning("no_gpu", "no worker that runs now has a GPU: the job would wait for one", "resources.gpus")


def no_room(memory: Memory, *, param: str) -> Iterator[Warning]:
    known = [device for device in memory.devices if device.fits is not None]
    if known and not any(device.fits for device in known):
        yield Warning("memory", "no worker that runs now has as much memory as the job needs", param)


def _too_long(rows: RowFigures, long_rows: LongRows, *, limit: int, param: str, key: str) -> Iterator[Warning]:
    if not rows.too_long:
        return
    if rows.left_out + rows.unusable >= rows.total:
        message = f"no row of the {param} is left: all have more than {limit} tokens, or nothing to learn before that"
        yield Warning("all_rows_too_long", message, key)
        return
    about = "" if rows.too_long_is_exact else "about "
    lines = _lines(example for example in rows.examples if example.tokens is not None)
    cut = f"they are cut off there, and {about}{rows.left_out} of them, with nothing left to learn, left out"
    follows = {"truncate": cut, "drop": "they are left out", "error": "the job would be refused"}[long_rows]
    count = f"{about}{rows.too_long} rows of the {param}"
    yield Warning("rows_too_long", f"{count} have more than {limit} tokens (line {lines}): {follows}", key)


def _unusable(rows: RowFigures, *, param: str) -> Iterator[Warning]:
    if rows.unusable:
        lines = _lines(example for example in rows.examples if example.tokens is None)
        message = f"{rows.unusable} rows do not suit the model's chat template (line {lines}): the job would be refused"
        yield Warning("template_refuses_rows", message, param)


def _lines(examples: Iterable[Example]) -> str:
    return ", ".join(str(example.row) for example in islice(examples, 5))


def _answers(measured: Measured, method: Method) -> Iterator[Warning]:
    if measured.completion_tokens is not None:
        message = (
            f"each answer is counted at {measured.completion_tokens} tokens, the most that it may have: tokens, time "
            "and cost are upper bounds"
        )
        yield Warning("answers_at_their_longest", message, f"method.{method.type}.max_completion_tokens")


def _template(measured: Measured) -> Iterator[Warning]:
    if measured.notes.ignores_system:
        message = "the model's chat template drops or refuses system messages, which rows have"
        yield Warning("template_ignores_system", message, "training_file")
    if measured.notes.ignores_tools:
        message = "the model's chat template does not show the tools that rows offer"
        yield Warning("template_ignores_tools", message, "training_file")


def _amount(measured: Measured, method: Method) -> Iterator[Warning]:
    if measured.rows.total < FEW_ROWS:
        message = f"{measured.rows.total} rows are few: the model may learn them by heart; better {FEW_ROWS} or more"
        yield Warning("too_few_rows", message, "training_file")
    elif measured.rows.total < FEW_ROWS_FOR_MANY_EPOCHS and measured.plan.epochs > MANY_EPOCHS:
        message = f"{measured.plan.epochs} passes over {measured.rows.total} rows: the model may learn them by heart"
        key = "max_steps" if method.options.max_steps else "hyperparameters.n_epochs"
        yield Warning("too_many_epochs", message, f"method.{method.type}.{key}")


def _amount_of_text(measured: Measured, compute: Compute, method: Method) -> Iterator[Warning]:
    length = measured.plan.max_length
    if measured.plan.steps == 0:
        message = f"the text has {measured.tokens.total} tokens, too few for one sequence of {length}"
        yield Warning("too_little_text", message, "training_file")
        return
    if method.options.weights == "full":
        best = COMPUTE_OPTIMAL * compute.parameters
        message = (
            f"{compute.tokens:,} tokens for {compute.parameters:,} parameters are {compute.tokens_per_parameter:.3g} a "
            f"parameter; from random weights, compute is best used with about {COMPUTE_OPTIMAL} ({best:,} tokens, or "
            f"{compute.tokens // COMPUTE_OPTIMAL:,} parameters for these)"
        )
        yield Warning("compute_optimal", message, "training_file")


def _quality(measured: Measured, report: dict[str, Any]) -> Iterator[Warning]:
    about = "training_file"
    found = report.get("duplicates") or {}
    exact = max(measured.notes.duplicates, found.get("exact") or 0)
    near = found.get("near") or 0
    if exact > DUPLICATE_SHARE * measured.rows.total:
        yield Warning("duplicates", f"{exact} of {measured.rows.total} rows repeat an earlier one", about)
    compared = found.get("near_rows_compared") or 0  # of a large file a sample
    if near > DUPLICATE_SHARE * compared:
        yield Warning("near_duplicates", f"{near} of {compared} rows compared nearly repeat another one", about)
    if measured.rows.median and measured.rows.longest > OUTLIER * measured.rows.median:
        message = f"the longest row has {measured.rows.longest} tokens, the middle one {measured.rows.median}"
        yield Warning("length_outliers", message, about)
    personal = sorted(kind for kind, where in (report.get("personal_data") or {}).items() if where["rows"])
    if personal:
        yield Warning("personal_data", f"rows seem to hold personal data: {', '.join(personal)}", about)


def _held_out(measured: Measured, overlap: dict[str, Any] | None, *, split: bool) -> Iterator[Warning]:
    """What makes the loss on held-out rows say too little."""
    about, shared = "validation_file", overlap or {}
    if measured.validation_rows is None and not split:
        message = "without rows that training never sees nothing tells whether the model gets better"
        yield Warning("no_validation_file", message, about)
    if measured.notes.leaked_count:
        lines = ", ".join(map(str, measured.notes.leaked[:5]))
        message = (
            f"{measured.notes.leaked_count} rows are in the validation file too (line {lines}): its loss will flatter"
        )
        yield Warning("leakage", message, about)
    # Rows that are shared whole share their prompts, and are near each other: those are told above.
    rows, prompts, near = (shared.get(kind) or 0 for kind in ("rows", "prompts", "near_rows"))
    if prompts > rows:
        more = "" if shared["exact"] else "about "
        message = f"{more}{prompts} prompts are in both files, with other answers too: its loss may flatter"
        yield Warning("shared_prompts", message, about)
    if near > rows:
        compared = shared["near_rows_compared"]["validation"]
        message = f"{near} of {compared} validation rows compared nearly repeat a training row: its loss will flatter"
        yield Warning("near_leakage", message, about)
