"""What is likely to go wrong, before it costs anything."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from core.estimate.memory import Memory
from core.estimate.task import Measured

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


def warnings(measured: Measured, memory: Memory, *, report: dict[str, Any] | None, gpus: int | None) -> list[Warning]:
    """All that apply, the fatal ones first.

    Args:
        report: what the validation of the training file found out, where it did.
        gpus: what the job asks for.
    """
    return [
        *_fatal(measured, memory, gpus=gpus),
        *_template(measured),
        *_amount(measured),
        *_quality(measured, report or {}),
    ]


def _fatal(measured: Measured, memory: Memory, *, gpus: int | None) -> Iterator[Warning]:
    about, length = "training_file", "method.supervised.max_length"
    if measured.plan.packing is None and measured.rows.too_long:
        yield Warning("all_rows_too_long", f"every row has more than {measured.plan.max_length} tokens", length)
    elif measured.rows.too_long:
        more = "" if measured.rows.too_long_is_exact else "about "
        count = f"{more}{measured.rows.too_long} rows"
        message = f"{count} have more than {measured.plan.max_length} tokens: the job would be refused"
        yield Warning("rows_too_long", message, length)
    if measured.rows.unusable:
        message = f"{measured.rows.unusable} rows do not suit the model's chat template: the job would be refused"
        yield Warning("template_refuses_rows", message, about)
    known = [device for device in memory.devices if device.fits is not None]
    if known and not any(device.fits for device in known):
        yield Warning("memory", "no worker that runs now has as much memory as the job needs", "model")
    if gpus and not any(device.kind == "gpu" for device in memory.devices):
        yield Warning("no_gpu", "no worker that runs now has a GPU: the job would wait for one", "resources.gpus")


def _template(measured: Measured) -> Iterator[Warning]:
    if measured.notes.ignores_system:
        message = "the model's chat template drops or refuses system messages, which rows have"
        yield Warning("template_ignores_system", message, "training_file")
    if measured.notes.ignores_tools:
        message = "the model's chat template does not show the tools that rows offer"
        yield Warning("template_ignores_tools", message, "training_file")


def _amount(measured: Measured) -> Iterator[Warning]:
    if measured.rows.total < FEW_ROWS:
        message = f"{measured.rows.total} rows are few: the model may learn them by heart; better {FEW_ROWS} or more"
        yield Warning("too_few_rows", message, "training_file")
    elif measured.rows.total < FEW_ROWS_FOR_MANY_EPOCHS and measured.plan.epochs > MANY_EPOCHS:
        message = f"{measured.plan.epochs} passes over {measured.rows.total} rows: the model may learn them by heart"
        yield Warning("too_many_epochs", message, "method.supervised.hyperparameters.n_epochs")


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
    if measured.notes.leaked_count:
        lines = ", ".join(map(str, measured.notes.leaked[:5]))
        message = (
            f"{measured.notes.leaked_count} rows are in the validation file too (line {lines}): its loss will flatter"
        )
        yield Warning("leakage", message, "validation_file")
    if measured.rows.median and measured.rows.longest > OUTLIER * measured.rows.median:
        message = f"the longest row has {measured.rows.longest} tokens, the middle one {measured.rows.median}"
        yield Warning("length_outliers", message, about)
    personal = sorted(kind for kind, where in (report.get("personal_data") or {}).items() if where["rows"])
    if personal:
        yield Warning("personal_data", f"rows seem to hold personal data: {', '.join(personal)}", about)
