"""Client of a Tunesmith service: `Tunesmith` is where to begin."""

from tunesmith.client import Tunesmith
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
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    TunesmithError,
    UnexpectedAnswer,
    UnsafeName,
    WaitTimeout,
)
from tunesmith.page import Page
from tunesmith.types import Artifact, Checkpoint, Deleted, Event, File, Job, JobError, Model

__all__ = [
    "APIConnectionError",
    "APIStatusError",
    "Artifact",
    "AuthenticationError",
    "BadRequestError",
    "Checkpoint",
    "ConfigurationError",
    "ConflictError",
    "Deleted",
    "DigestMismatch",
    "Event",
    "File",
    "FileRejectedError",
    "InternalServerError",
    "Job",
    "JobError",
    "JobFailedError",
    "Model",
    "NotFoundError",
    "Page",
    "PermissionDeniedError",
    "RateLimitError",
    "Tunesmith",
    "TunesmithError",
    "UnexpectedAnswer",
    "UnsafeName",
    "WaitTimeout",
]
