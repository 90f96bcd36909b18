"""What the job's owner is told of an attempt that broke outside of its trainer."""

import errno

from core.specs.run import RunError
from core.storage import IntegrityError
from worker.inputs import UnpreparedModel, UnreadableSpec
from worker.patience import TRANSIENT, refusal

DISK_FULL = "The worker's disk is full"


def is_disk_full(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno == errno.ENOSPC


def explain(error: Exception) -> RunError | None:
    """The fault to count; None where a service stayed away: the lease runs out, and that counts as a loss.

    Unexpected errors are named by kind only: their text may hold paths and addresses of the host.
    """
    if isinstance(error, UnpreparedModel | UnreadableSpec):
        return RunError(code=error.code or "", message=error.message, retryable=True)
    if code := refusal(error):
        return RunError(
            code="store_refused", message=f"The object store refuses the job's data: {code}", retryable=True
        )
    if isinstance(error, IntegrityError):
        return RunError(code="integrity_error", message="Stored bytes do not match their SHA-256", retryable=True)
    if is_disk_full(error):
        return RunError(code="disk_full", message=DISK_FULL, retryable=True)
    if isinstance(error, TRANSIENT):
        return None
    return RunError(code="worker_error", message=f"The worker failed with {type(error).__name__}", retryable=True)
