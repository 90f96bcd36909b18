"""Client of a Tunesmith service: `Tunesmith`, or `AsyncTunesmith`, is where to begin.

Names are imported when they are first used, so that the command line answers `--help` without the client's libraries.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tunesmith._async.client import AsyncTunesmith
    from tunesmith._async.page import AsyncPage, AsyncPages
    from tunesmith._sync.client import Tunesmith
    from tunesmith._sync.page import Page
    from tunesmith.errors import (
        APIConnectionError,
        APIStatusError,
        AuthenticationError,
        BadRequestError,
        ConfigurationError,
        ConflictError,
        DigestMismatch,
        FileRejectedError,
        InternalServerError,
        JobFailedError,
        MethodNotAllowedError,
        MissingPackage,
        NotFoundError,
        PermissionDeniedError,
        RateLimitError,
        RequestTimeoutError,
        RulesBroken,
        TooLargeError,
        TunesmithError,
        UnexpectedAnswer,
        UnprocessableEntityError,
        UnsafeName,
        WaitTimeout,
    )
    from tunesmith.specs import JobSpec
    from tunesmith.types import Artifact, Checkpoint, Deleted, Estimate, Event, File, Job, JobError, Model

_MODULES = {
    "tunesmith._async.client": ("AsyncTunesmith",),
    "tunesmith._async.page": ("AsyncPage", "AsyncPages"),
    "tunesmith._sync.client": ("Tunesmith",),
    "tunesmith._sync.page": ("Page",),
    "tunesmith.errors": (
        "APIConnectionError",
        "APIStatusError",
        "AuthenticationError",
        "BadRequestError",
        "ConfigurationError",
        "ConflictError",
        "DigestMismatch",
        "FileRejectedError",
        "InternalServerError",
        "JobFailedError",
        "MethodNotAllowedError",
        "MissingPackage",
        "NotFoundError",
        "PermissionDeniedError",
        "RateLimitError",
        "RequestTimeoutError",
        "RulesBroken",
        "TooLargeError",
        "TunesmithError",
        "UnexpectedAnswer",
        "UnprocessableEntityError",
        "UnsafeName",
        "WaitTimeout",
    ),
    "tunesmith.specs": ("JobSpec",),
    "tunesmith.types": (
        "Artifact",
        "Checkpoint",
        "Deleted",
        "Estimate",
        "Event",
        "File",
        "Job",
        "JobError",
        "Model",
    ),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "APIConnectionError",
    "APIStatusError",
    "Artifact",
    "AsyncPage",
    "AsyncPages",
    "AsyncTunesmith",
    "AuthenticationError",
    "BadRequestError",
    "Checkpoint",
    "ConfigurationError",
    "ConflictError",
    "Deleted",
    "DigestMismatch",
    "Estimate",
    "Event",
    "File",
    "FileRejectedError",
    "InternalServerError",
    "Job",
    "JobError",
    "JobFailedError",
    "JobSpec",
    "MethodNotAllowedError",
    "MissingPackage",
    "Model",
    "NotFoundError",
    "Page",
    "PermissionDeniedError",
    "RateLimitError",
    "RequestTimeoutError",
    "RulesBroken",
    "TooLargeError",
    "Tunesmith",
    "TunesmithError",
    "UnexpectedAnswer",
    "UnprocessableEntityError",
    "UnsafeName",
    "WaitTimeout",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULE_OF[name]), name)
