"""Everything that this package raises on purpose; all of it is a `TunesmithError`."""

from tunesmith.types import File, Job


class TunesmithError(Exception):
    """The root of this package's errors."""


class ConfigurationError(TunesmithError):
    """The client lacks a setting, or has one that cannot be right."""


class MissingPackage(TunesmithError, ImportError):
    """What was called needs a package that is not installed; the message says which."""


class APIConnectionError(TunesmithError):
    """No answer came: the server is not reachable, or the connection broke, and repeating did not help."""


class UnexpectedAnswer(TunesmithError):
    """The answer came, with a good status, and is not what this API promises; is the base URL right?"""


class APIStatusError(TunesmithError):
    """The server refused.

    Attributes:
        status_code: the HTTP status.
        message: what is wrong, in the server's words.
        code: the kind of problem, for programs; None where the server gives none.
        param: the path of the offending parameter, where there is one.
        request_id: what the server's log knows this request by.
    """

    def __init__(
        self,
        status_code: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.message = message
        self.code = code
        self.param = param
        self.request_id = request_id

    def __str__(self) -> str:
        where = f", request {self.request_id}" if self.request_id else ""
        return f"{self.message} (HTTP {self.status_code}{where})"


class BadRequestError(APIStatusError):
    """400: the request is not valid, or not possible in the resource's present state."""


class AuthenticationError(APIStatusError):
    """401: the API key is missing or not known."""


class PermissionDeniedError(APIStatusError):
    """403: the API key may not do this."""


class NotFoundError(APIStatusError):
    """404: there is no such thing, or it belongs to somebody else."""


class MethodNotAllowedError(APIStatusError):
    """405: the address takes other HTTP methods."""


class RequestTimeoutError(APIStatusError):
    """408: the request did not arrive in time."""


class ConflictError(APIStatusError):
    """409: somebody else changed the resource at the same time."""


class TooLargeError(APIStatusError):
    """413: the file or the request is larger than the server takes."""


class UnprocessableEntityError(APIStatusError):
    """422: the request is well-formed and makes no sense. Of something between here and Tunesmith."""


class RateLimitError(APIStatusError):
    """429: too many requests."""


class InternalServerError(APIStatusError):
    """500 and above: the server, or a service behind it, has a problem."""


class JobFailedError(TunesmithError):
    """The job that was waited for has failed, or was cancelled; `job` is its last state."""

    def __init__(self, job: Job) -> None:
        reason = job.error.message if job.error else job.status_reason
        super().__init__(f"job {job.id} {job.status}" + (f": {reason}" if reason else ""))
        self.job = job


class FileRejectedError(TunesmithError):
    """The server found the file's contents unusable; `file.status_details` says what to mend."""

    def __init__(self, file: File) -> None:
        super().__init__(f"file {file.id} ({file.filename}) is not usable: {file.status_details or file.status}")
        self.file = file


class RulesBroken(TunesmithError):
    """A file was checked on this machine, and its contents are not usable."""


class WaitTimeout(TunesmithError, TimeoutError):
    """What was waited for did not happen in time. It may still happen."""


class DigestMismatch(TunesmithError):
    """Downloaded bytes are not those that the server promised. They have been thrown away."""


class UnsafeName(TunesmithError, ValueError):
    """A file name from the server would lead out of the folder to download to."""


BY_STATUS: dict[int, type[APIStatusError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    405: MethodNotAllowedError,
    408: RequestTimeoutError,
    409: ConflictError,
    413: TooLargeError,
    422: UnprocessableEntityError,
    429: RateLimitError,
}


def status_error_class(status: int) -> type[APIStatusError]:
    """The class for an HTTP status; one without its own class is a plain `APIStatusError`."""
    return InternalServerError if status >= 500 else BY_STATUS.get(status, APIStatusError)
