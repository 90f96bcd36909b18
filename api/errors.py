"""Every failure leaves as `{"error": {message, type, param, code}}`; the statuses are the domain errors' own."""

import logging
import math
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy.exc import DataError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from api.validation import explain
from core.errors import InvalidRequest, NotFound, TunesmithError, Unavailable
from core.idempotency.service import Replay
from core.storage import STORE_ERRORS, unavailable

log = logging.getLogger(__name__)


def install_error_handlers(app: FastAPI) -> None:
    app.add_exception_handler(TunesmithError, _domain_error)
    app.add_exception_handler(Replay, _replay)
    app.add_exception_handler(RequestValidationError, _bad_parameters)
    app.add_exception_handler(HTTPException, _http_error)
    for kind in (OperationalError, InterfaceError, PoolTimeout):
        app.add_exception_handler(kind, _database_away)
    app.add_exception_handler(DataError, _unstorable)
    for kind in STORE_ERRORS:
        app.add_exception_handler(kind, _store_away)
    app.add_exception_handler(Exception, _unexpected)


class ErrorBody(BaseModel):
    """What went wrong: words for people, a code for programs, and the offending parameter where there is one."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorEnvelope(BaseModel):
    error: ErrorBody


# Documented for every route of every router, in one place.
RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorEnvelope, "description": description}
    for status, description in {
        400: "The request can't be understood, or not be done in this state; `param` names what to mend.",
        401: "No key, or no valid one.",
        403: "The key may not do this.",
        404: "No such thing in this project.",
        405: "The path has no such method.",
        409: "A request with this `Idempotency-Key` is being served right now: send it again.",
        413: "The body, or a part of it, is too large.",
        429: "Too many requests; `retry-after` says when to go on.",
        500: "A fault of the server.",
        503: "A service that the request needs does not answer: send it again.",
    }.items()
}


def envelope(error: TunesmithError, *, headers: dict[str, str] | None = None) -> JSONResponse:
    body = {"message": error.message, "type": error.type, "param": error.param, "code": error.code}
    return JSONResponse({"error": body}, status_code=error.status, headers=headers)


async def _domain_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, TunesmithError)
    return envelope(error, headers=_when_to_retry(error))


def _when_to_retry(error: TunesmithError) -> dict[str, str]:
    if error.retry_after is None:
        return {}
    return {
        "retry-after": str(math.ceil(error.retry_after)),
        "retry-after-ms": str(math.ceil(error.retry_after * 1000)),
        "x-should-retry": "true",
    }


async def _replay(_: Request, replay: Exception) -> JSONResponse:
    assert isinstance(replay, Replay)
    return JSONResponse(replay.response, status_code=replay.status_code, headers={"idempotent-replayed": "true"})


async def _bad_parameters(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    # The first part of each location says whether it is the query, the path or a header.
    errors: list[Any] = [{**e, "loc": e["loc"][1:]} for e in error.errors()]
    return envelope(explain(errors))


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        path = request.url.path
        hint = "" if path.startswith("/v1/") else "; routes begin with /v1, and so should a client's base URL end"
        return envelope(NotFound(f"no such route: {request.method} {path}{hint}"))
    refused = InvalidRequest(f"{request.method} {request.url.path}: {error.detail}")
    response = envelope(refused, headers=dict(error.headers or {}))
    response.status_code = error.status_code
    return response


async def _database_away(_: Request, error: Exception) -> JSONResponse:
    log.warning("the database does not answer: %s", error)
    return envelope(Unavailable("the database does not answer; try again"))


async def _unstorable(_: Request, error: Exception) -> JSONResponse:
    return envelope(InvalidRequest("a value holds characters that no id or name has, such as NUL"))


async def _store_away(_: Request, error: Exception) -> JSONResponse:
    log.warning("the object store does not answer: %s", error)
    return envelope(unavailable(error))


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    request_id = request.state.request_id
    log.error("%s: unexpected error", request_id, exc_info=error)
    # Starlette answers outside of the middleware here, so that the id must be set by hand.
    problem = TunesmithError(f"internal error; the server's log has more under {request_id}")
    # uvicorn closes the connection behind an unexpected error: a client that was not told would send into it.
    return envelope(problem, headers={"x-request-id": request_id, "connection": "close"})
