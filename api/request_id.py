"""A request id for every answer, and one line of log for every request."""

import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.ids import new_id

log = logging.getLogger("api.access")


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
        started = time.perf_counter()

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                more = scope["state"].get("answer_headers", [])
                message["headers"] = [*message["headers"], *more, (b"x-request-id", request_id.encode())]
                milliseconds = (time.perf_counter() - started) * 1000
                # The path only: a query may hold what does not belong into a log.
                log.info(
                    "%s %s %s %.0f ms %s",
                    scope["method"],
                    scope["path"].encode("unicode_escape").decode(),
                    message["status"],
                    milliseconds,
                    request_id,
                )
            await send(message)

        await self.app(scope, receive, send_with_id)
