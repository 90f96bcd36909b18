"""On every page: nothing that a serious finding of axe would be about, and no text that is more than text."""

from collections.abc import Callable
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.conftest import ProjectKey
from tests.dashboard.jobs import HOSTILE, client, reinforcement, rows_file, supervised
from tests.stack import Stack

GRAVE = ("serious", "critical")


def test_every_page_is_accessible_and_harmless(
    look: Callable[..., Page], stack: Stack, project: ProjectKey, tmp_path: Path, operator_key: str
) -> None:
    with client(stack, project.key) as api:
        started = [reinforcement(api, tmp_path), supervised(api, tmp_path)]
        says, doubles = [api.fine_tuning.jobs.wait(job.id, progress=False) for job in started]
        long = [
            {"messages": [{"role": "user", "content": HOSTILE + "x" * 2**20}, {"role": "assistant", "content": "y"}]}
        ]
        file = api.files.create(file=rows_file(tmp_path, long, "long.jsonl"), purpose="fine-tune")
        api.files.wait_for_processing(file.id)
    paths = [
        "/",
        "/jobs",
        "/jobs?status=failed",
        f"/jobs/{doubles.id}",
        f"/jobs/{doubles.id}/results",
        f"/jobs/{doubles.id}/lineage",
        f"/jobs/{doubles.id}/spec",
        f"/jobs/{doubles.id}/log",
        f"/jobs/{says.id}?smooth=medium&log=1",
        f"/jobs/{says.id}/rollouts",
        f"/compare?jobs={doubles.id},{says.id}",
        f"/jobs/new?clone={says.id}",
        "/data",
        f"/data/{file.id}?model=tiny-random-llama",
        f"/data/{says.training_file}?model=tiny-random-llama",
        "/models",
        f"/models/{doubles.fine_tuned_model}",
        "/projects",
        "/no-such-page",
    ]
    for key, theme in ((project.key, "light"), (operator_key, "dark")):
        page = look(key)
        page.evaluate(f"localStorage.theme = '{theme}'")
        page.on("dialog", lambda dialog: dialog.dismiss())
        findings = [finding for path in paths for finding in findings_of(page, path)]
        assert findings == []


def findings_of(page: Page, path: str) -> list[str]:
    page.goto(path)
    page.wait_for_function("window.socket?.connected")
    assert page.evaluate("window.hacked") is None
    found = Axe().run(page).response["violations"]
    told = [f"{path}: {one['id']}: {one['nodes'][0]['html'][:200]}" for one in found if one["impact"] in GRAVE]
    width = page.evaluate("document.documentElement.scrollWidth")
    return told + ([f"{path}: {width} pixels wide"] if width > 1280 else [])
