"""What stands before every page and socket: a session, an origin, and headers that let a browser load nothing from
elsewhere."""

from http.cookies import CookieError, SimpleCookie
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.sessions import COOKIE, Sessions

OPEN = ("/login", "/healthz", "/static/", "/_nicegui/", "/favicon.ico")  # no data in any of them
# NiceGUI's pages are made of inline scripts, and Vue compiles templates: both kinds of "unsafe" are needed. What text
# from outside could smuggle in has nowhere to send anything.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "object-src 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Guard:
    """ASGI: lets a request through whose cookie is that of a session, and asks others to log in; what another site's
    page has sent does nothing, with a cookie or without."""

    def __init__(self, app: ASGIApp, *, sessions: Sessions) -> None:
        self.app, self.sessions = app, sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        session = self.sessions.of(token_of(scope))
        scope.setdefault("state", {})["session"] = session
        path = scope["path"]
        if session is None and not path.startswith(OPEN):
            await self._ask_to_log_in(scope, receive, send)
        elif not of_our_origin(scope):
            await _refuse(scope, receive, send, words="This did not come from a page of this dashboard.", status=403)
        elif scope["type"] == "websocket":
            await self.app(scope, receive, send)
        else:
            sending = _with_headers(send, keep=path.startswith(("/static/", "/_nicegui/")))
            await self._answer(scope, receive, sending)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Nobody is answered who has left before the request was read: NiceGUI's socket would fail at it."""
        first: Message | None = await receive()
        if first["type"] == "http.disconnect":
            return

        async def receiving() -> Message:
            nonlocal first
            message, first = first, None
            return message or await receive()

        await self.app(scope, receiving, send)

    async def _ask_to_log_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("method") != "GET" or scope["path"].startswith("/_nicegui"):
            await _refuse(scope, receive, send, words="log in first", status=401)
            return
        to_login = RedirectResponse(f"/login?next={quote(address_of(scope), safe='')}", 303)
        await to_login(scope, receive, _with_headers(send, keep=False))


async def _refuse(scope: Scope, receive: Receive, send: Send, *, words: str, status: int) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
    else:
        await Response(words, status)(scope, receive, _with_headers(send, keep=False))


def of_our_origin(scope: Scope) -> bool:
    """Whether one of our pages sends it. Browsers name the origin of sockets, and of all but GET and HEAD; a proxy in
    front of us has to pass `Host` on as it came."""
    headers = Headers(scope=scope)
    origin = headers.get("origin")
    if origin is None:
        return scope.get("method") in ("GET", "HEAD")
    return origin.partition("://")[2] == headers.get("host")


def address_of(scope: Scope) -> str:
    """Path and query as the browser has sent them: a `%3F` in an id stays one."""
    query = scope["query_string"].decode("latin-1")
    return scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")


def token_of(scope: Scope) -> str | None:
    try:
        cookie = SimpleCookie(Headers(scope=scope).get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return cookie.value if cookie else None


def _with_headers(send: Send, *, keep: bool) -> Send:
    """keep: what is sent may stay in the browser's cache; pages may not."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update(HEADERS)
            if not keep:
                headers["cache-control"] = "no-store"
        await send(message)

    return sending
