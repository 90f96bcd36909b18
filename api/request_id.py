"""A request id for every answer, and one line of log for every request."""

import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.ids import new_id
from core.logs import bind, bound

log = logging.getLogger("api.access")
# What a path may name, as lines of log call it.
NAMES = {"job_id": "job", "file_id": "file", "upload_id": "upload"}


class RequestIdMiddleware:
    """Sets `x-request-id` on each response and `request.state.request_id` for the error handlers.

    Headers that a dependency leaves in `request.state.answer_headers` go out too, on errors and streams as well.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = new_id("req_")
        scope.setdefault("state", {})["request_id"] = request_id
        bind(request_id=request_id)  # for good: a request is a task of its own, and errors are logged behind this
        started = time.perf_counter()

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                more = scope["state"].get("answer_headers", [])
                message["headers"] = [*message["headers"], *more, (b"x-request-id", request_id.encode())]
                milliseconds = (time.perf_counter() - started) * 1000
                with bound(**_named(scope)):
                    # The path only: a query may hold what does not belong into a log.
                    path = _one_line(scope["path"])
                    log.info("%s %s %s %.0f ms", scope["method"], path, message["status"], milliseconds)
            await send(message)

        await self.app(scope, receive, send_with_id)


def _named(scope: Scope) -> dict[str, object]:
    """The job, file or upload that the request's path names: anybody's text, as the path itself."""
    parameters = scope.get("path_params", {})
    return {name: _one_line(parameters[key]) for key, name in NAMES.items() if key in parameters}


def _one_line(text: str) -> str:
    return text.encode("unicode_escape").decode()
