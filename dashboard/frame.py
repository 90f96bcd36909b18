"""What all pages have: the way to the others, who is logged in, and what is said when something goes wrong."""

import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import TypeVar
from urllib.parse import quote

from nicegui import ui
from nicegui.element import Element
from starlette.requests import Request
from tunesmith import (
    APIConnectionError,
    AsyncTunesmith,
    AuthenticationError,
    ConflictError,
    InternalServerError,
    RateLimitError,
    RequestTimeoutError,
    TunesmithError,
    UnexpectedAnswer,
)

from dashboard.elements import Text, box, button, link, shown
from dashboard.guard import address_of
from dashboard.sessions import Session, SessionOver
from dashboard.words import error_words, moment, zone_of

HEAD = '<script src="/static/page.js"></script><link rel="stylesheet" href="/static/style.css">'
PAGES = (
    ("Overview", "/"),
    ("Jobs", "/jobs"),
    ("Compare", "/compare"),
    ("Data", "/data"),
    ("Models", "/models"),
    ("Projects", "/projects"),
)
LIVE_SECONDS = 2.0
PAGE_SECONDS = 30.0  # for pages that ask the API for several things, where it is slow
# What the API answers, or what stands in its place, while it is away, busy or being replaced.
MAY_PASS = (
    APIConnectionError,
    ConflictError,
    InternalServerError,
    RateLimitError,
    RequestTimeoutError,
    UnexpectedAnswer,
)
T = TypeVar("T")


@dataclass
class Frame:
    """A page as it is being looked at. path: with its query. away: what is said over the page while the API is away, so
    that nothing jumps when it comes and goes. refusal: what stands above the contents, and stays."""

    session: Session
    zone: tzinfo
    path: str
    toasts: Element = field(init=False)
    away: Text = field(init=False)
    refusal: Text = field(init=False)

    @property
    def api(self) -> AsyncTunesmith:
        return self.session.api

    @property
    def operator(self) -> bool:
        return self.session.key.operator

    def time(self, seconds: float | None) -> str:
        return moment(seconds, self.zone)

    def say(self, text: str, *, fault: bool = False) -> None:
        """Show it for some seconds; faults stay until they are closed."""
        with self.toasts, box("div", f"note {'fault' if fault else 'good'}") as note:
            Text("span", text, role="alert" if fault else "status")
            if fault:
                button("Close", note.delete)
            else:
                ui.timer(6.0, note.delete, once=True)

    def refuse(self, error: Exception) -> None:
        """Say above the page why it has not what was asked for."""
        self.refusal.show(error_words(error))
        shown(self.refusal, True)

    async def fetched(self, what: Awaitable[T]) -> T | None:
        """What the API answers, while the page is built; where it refuses, None, and its words stand above the page."""
        try:
            return await what
        except (SessionOver, AuthenticationError):
            await self._to_login()
        except (TunesmithError, ValueError) as error:  # ValueError: an address with what cannot be an id
            self.refuse(error)
        return None

    async def trying(self, act: Callable[[], Awaitable[object]], *, done: str = "") -> bool:
        """Whether it worked; what went wrong is told."""
        try:
            await act()
        except (SessionOver, AuthenticationError):
            await self._to_login()
            return False
        except TunesmithError as error:
            self.say(error_words(error), fault=True)
            return False
        if done:
            self.say(done)
        return True

    async def live(self, refresh: Callable[[], Awaitable[object]], *, seconds: float = LIVE_SECONDS) -> None:
        """Call it now, and again and again as long as somebody looks; where the API is away, say so and go on. What it
        refuses it would refuse again: that is told once."""

        async def once() -> None:
            try:
                await refresh()
            except (SessionOver, AuthenticationError):
                await self._to_login()
            except MAY_PASS as error:
                self.away.show(f"{error_words(error)} Trying again.")
                shown(self.away, True)
                return
            except TunesmithError as error:
                self.refuse(error)
                timer.cancel()
            shown(self.away, False)

        timer = ui.timer(seconds, once, immediate=False)  # begins when the browser has the page
        await once()

    async def _to_login(self) -> None:
        await self.session.end()  # also where the API no longer takes the key
        ui.navigate.to(f"/login?next={quote(self.path, safe='')}")


@contextmanager
def frame(title: str, request: Request) -> Iterator[Frame]:
    """The page around a page's contents."""
    session: Session = request.state.session
    here = Frame(session, zone_of(request.headers.get("cookie")), address_of(request.scope))
    ui.add_head_html(HEAD)
    ui.page_title(f"{title} · Tunesmith")
    with box("div", "frame"):
        _side(here, request.url.path)
        with box("div", "content", id="content", tabindex=-1):
            with box("div", "toasts", aria_live="polite") as here.toasts:
                here.away = Text("div", classes="note hidden", role="status")
            here.refusal = Text("div", classes="note fault hidden", role="alert")
            yield here


def _side(here: Frame, path: str) -> None:
    key = here.session.key
    link("Skip to the contents", "#content", classes="skip")
    with box("nav", "side", aria_label="Pages"):
        with link("", "/", classes="brand"):
            box("img", src="/static/favicon.svg", alt="", width=22, height=22)
            Text("span", "Tunesmith")
        for title, target in PAGES:
            current = path == target or (target != "/" and path.startswith(f"{target}/"))
            link(title, target, classes="item", **({"aria_current": "page"} if current else {}))
        whose = "Operator" if key.operator else f"Project {key.project.name if key.project else ''}"
        Text("div", f"{whose} · key {key.name}", classes="who")
        with box("div", "row"):
            button("Theme", lambda: None).on("click", js_handler="() => toggleTheme()")
            with box("form", method="post", action="/logout"):
                Text("button", "Log out", classes="button", type="submit")


async def confirmed(question: str, action: str) -> bool:
    """Whether whoever looks says yes, in a dialog."""
    with ui.dialog().props(f"aria-label={json.dumps(action)}") as dialog, box("div", "panel ask"):
        Text("p", question)
        with box("div", "actions"):
            button("Back", lambda: dialog.submit(False), autofocus=True)
            button(action, lambda: dialog.submit(True), classes="danger")
    answer = bool(await dialog)
    dialog.delete()
    return answer


def went_wrong(error: Exception) -> None:
    """The page in the place of one that could not be made."""
    known = isinstance(error, TunesmithError)
    _bare("This page could not be shown", error_words(error) if known else "The dashboard's log says why.")


def no_such_page() -> None:
    _bare("There is no such page", "The address is not one of this dashboard.")


def _bare(title: str, text: str) -> None:
    ui.add_head_html(HEAD)
    ui.page_title(f"{title} · Tunesmith")
    with box("div", "content", id="content"):
        Text("h1", title)
        Text("p", text, classes="note fault", role="alert")
        with box("div", "top"):
            link("Try again", "", classes="button")
            link("Overview", "/", classes="button")
