"""The dashboard as a process of its own on the stack's API, and a browser that looks at it."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from embedded.ports import free_ports
from embedded.process import Child
from tests.conftest import ProjectKey
from tests.stack import Stack, responds

WAIT = 30_000  # ms in which the browser has to see what a test waits for
expect.set_options(timeout=WAIT)


@contextmanager
def run_dashboard(folder: Path, api_url: str, **settings: str) -> Iterator[str]:
    """Its address, for as long as the block lasts."""
    [port] = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    env = {name: value for name, value in os.environ.items() if not name.startswith("TUNESMITH_")}
    given = {"api_url": api_url, "port": str(port)} | settings
    env |= {f"TUNESMITH_DASHBOARD_{name.upper()}": value for name, value in given.items()}
    child = Child("dashboard", [sys.executable, "-m", "dashboard"], folder / "logs", env)
    child.ready = lambda: responds(f"{url}/healthz")
    child.start()
    try:
        child.wait_ready(60)
        yield url
    finally:
        child.stop(15)


@pytest.fixture(scope="session")
def _dashboard(_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with run_dashboard(tmp_path_factory.mktemp("dashboard"), f"{_stack.url}/v1") as url:
        yield url


@pytest.fixture
def dashboard(_dashboard: str, stack: Stack) -> str:
    """The dashboard's address, on a stack whose database is empty."""
    return _dashboard


NO_BROWSER = "no browser: `make setup` installs Debian's chromium as root"


def browser_path() -> str | None:
    return shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = browser_path()
    if path is None:
        if os.environ.get("CI"):
            pytest.fail(NO_BROWSER)
        pytest.skip(NO_BROWSER)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def look(browser: Browser, dashboard: str) -> Iterator[Callable[..., Page]]:
    """Log in with a key, and look at a page; at the end nothing may have gone wrong in the browser."""
    contexts = []
    complaints: list[str] = []

    def open_page(key: str, path: str = "/", *, width: int = 1280, zone: str | None = None) -> Page:
        viewport: ViewportSize = {"width": width, "height": 900}
        context = browser.new_context(base_url=dashboard, viewport=viewport, timezone_id=zone)
        contexts.append(context)
        context.set_default_timeout(WAIT)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.goto(path)
        page.get_by_label("API key").fill(key)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url(lambda url: "/login" not in url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def key(project: ProjectKey) -> str:
    return project.key
