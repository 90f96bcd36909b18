"""Errors of the domain. Each carries the HTTP status, the code and the parameter that its client should see."""

from typing import ClassVar


class TunesmithError(Exception):
    """The root of everything that is refused on purpose.

    Args:
        message: what is wrong, in words that its reader can act on.
        param: the path of the offending key, where there is one.
    """

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    code: ClassVar[str | None] = None
    # Seconds after which the same request may well succeed; null: nothing is promised.
    retry_after: float | None = None

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param


class InvalidRequest(TunesmithError):
    status = 400
    type = "invalid_request_error"


class InvalidState(InvalidRequest):
    """The resource is not in a state that allows this. Never 409: clients would repeat the request by themselves."""

    code = "invalid_state"


class NotAuthenticated(TunesmithError):
    status = 401
    type = "authentication_error"
    code = "invalid_api_key"


class NotAllowed(TunesmithError):
    status = 403
    type = "permission_error"
    code = "insufficient_permissions"


class NotFound(TunesmithError):
    """There is no such thing, or it belongs to somebody else: the two look alike on purpose."""

    status = 404
    type = "invalid_request_error"
    code = "not_found"


class TooLarge(TunesmithError):
    status = 413
    type = "invalid_request_error"
    code = "too_large"


class Unavailable(TunesmithError):
    """A service that the request needs does not answer; trying again is right."""

    status = 503
    code = "service_unavailable"
