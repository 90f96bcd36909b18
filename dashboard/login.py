"""Logging in and out: plain forms, which need no script."""

import asyncio
import re
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.templating import Jinja2Templates
from tunesmith import AuthenticationError, TunesmithError

from dashboard.guard import token_of
from dashboard.sessions import COOKIE, Sessions
from dashboard.settings import Settings
from dashboard.words import error_words

KEY = re.compile(r"[!-~]{1,512}")  # what fits into a header
PAUSE = 0.5  # seconds after a key that is none
WRONG = "That is no valid API key of this Tunesmith."
templates = Jinja2Templates(Path(__file__).parent / "templates")


def router(settings: Settings, sessions: Sessions) -> APIRouter:
    routes = APIRouter()

    def form(request: Request, *, error: str = "", status: int = 200, onward: str = "/") -> Response:
        context = {"error": error, "onward": onward, "api_url": settings.api_url}
        return templates.TemplateResponse(request, "login.html", context, status_code=status)

    @routes.get("/login", response_class=HTMLResponse)
    async def ask(request: Request, next: str = "/") -> Response:
        if request.state.session is not None:
            return RedirectResponse(inside(next), 303)
        return form(request, onward=inside(next))

    @routes.post("/login", response_class=HTMLResponse)
    async def log_in(
        request: Request,
        api_key: Annotated[str, Form()] = "",
        next: Annotated[str, Form()] = "/",
    ) -> Response:
        try:
            token = await sessions.begin(api_key.strip()) if KEY.fullmatch(api_key.strip()) else None
        except AuthenticationError:
            token = None
        except TunesmithError as error:
            return form(request, error=error_words(error), status=502, onward=inside(next))
        if token is None:
            await asyncio.sleep(PAUSE)
            return form(request, error=WRONG, status=401, onward=inside(next))
        await sessions.end(token_of(request.scope))
        response = RedirectResponse(inside(next), 303)
        response.set_cookie(
            COOKIE,
            token,
            max_age=int(sessions.seconds),
            httponly=True,
            samesite="lax",  # a link from a chat leads to the page; what does something is guarded by its origin
            secure=settings.secure_cookies,
        )
        return response

    @routes.post("/logout")
    async def log_out(request: Request) -> Response:
        await sessions.end(token_of(request.scope))
        response = RedirectResponse("/login", 303)
        response.delete_cookie(COOKIE, httponly=True, samesite="lax", secure=settings.secure_cookies)
        return response

    @routes.get("/healthz")
    async def alive() -> dict[str, str]:
        return {"status": "ok"}

    return routes


def inside(target: str) -> str:
    """Where to go on to: only ever a page of this dashboard, whatever the link says."""
    is_path = target.startswith("/") and not target.startswith(("//", "/\\", "/login", "/logout"))
    return target if is_path and target.isprintable() and "\\" not in target else "/"
