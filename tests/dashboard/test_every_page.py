"""On every page: nothing that a serious finding of axe would be about, and no text that is more than text."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from playwright.sync_api import Page, TimeoutError, expect
from sqlalchemy import Engine

from core.storage import Storage
from tests.conftest import ProjectKey
from tests.dashboard.axe import grave
from tests.dashboard.jobs import HOSTILE, client, outspoken, reinforcement, rows_file, supervised
from tests.dashboard.pages import every_page
from tests.stack import Stack

SCREENS = (390, 1280)  # pixels: nothing has to be scrolled sideways


def test_every_page_is_accessible_and_harmless(
    look: Callable[..., Page],
    stack: Stack,
    engine: Engine,
    storage: Storage,
    make_project: Callable[[str], ProjectKey],
    operator_key: str,
    tmp_path: Path,
) -> None:
    project = make_project(HOSTILE)
    with client(stack, project.key) as api:
        started = [reinforcement(api, tmp_path), supervised(api, tmp_path)]
        says, doubles = [api.fine_tuning.jobs.wait(job.id, progress=False) for job in started]
        long = [
            {"messages": [{"role": "user", "content": HOSTILE + "x" * 2**20}, {"role": "assistant", "content": "y"}]}
        ]
        named = rows_file(
            tmp_path, long, "<img src=x onerror='window.hacked = 1'>{{ window.hacked = 1 }} 🚀 مرحبا.jsonl"
        )
        file = api.files.create(file=named, purpose="fine-tune")
        api.files.wait_for_processing(file.id)
    stack.kill("train")
    try:
        job = outspoken(engine, storage, project.owner, tmp_path)
    finally:
        stack.start("train")
    paths = [*every_page(trained=doubles, reinforced=says, file_id=file.id).values()]
    paths += [f"/jobs/{job}/{page}" for page in ("rollouts", "results", "log")]
    for key, theme in ((project.key, "light"), (operator_key, "dark")):
        page = look(key)
        page.evaluate(f"localStorage.theme = '{theme}'")
        page.on("dialog", lambda dialog: dialog.dismiss())
        findings = [finding for path in paths for finding in findings_of(page, path)]
        assert findings == []
        expect(page.get_by_role("log")).to_contain_text(HOSTILE)  # the last one: as it was written


def findings_of(page: Page, path: str) -> list[str]:
    page.goto(path)
    page.wait_for_function("window.socket?.connected")
    expect(page.get_by_text("The API renders them …")).to_have_count(0)
    told = [f"{path}: {finding}" for finding in grave(page)]
    assert page.evaluate("window.hacked") is None
    return told + [
        f"{path}: {width} pixels wide on {screen}" for screen in SCREENS if (width := width_on(page, screen)) > screen
    ]


def width_on(page: Page, screen: int) -> int:
    page.set_viewport_size({"width": screen, "height": 900})
    with suppress(TimeoutError):  # charts follow a moment later
        page.wait_for_function("(most) => document.documentElement.scrollWidth <= most", arg=screen, timeout=5000)
    return page.evaluate("document.documentElement.scrollWidth")
