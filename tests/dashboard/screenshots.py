"""`python -m tests.dashboard.screenshots FOLDER`: every page in both themes, and as a phone shows it.

Of a stack of its own, with a model that learns to add from random weights on, and what happens beside it.
"""

import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright
from tunesmith import JobFailedError, Tunesmith
from tunesmith.types import Job

from core.access.service import create_key, ensure_project
from core.db import make_engine, session_scope
from core.settings import Settings
from embedded.services import run_services
from migrations import upgrade
from tests.dashboard.conftest import NO_BROWSER, browser_path, run_dashboard
from tests.dashboard.pages import every_page
from tests.proofs import adder
from tests.proofs import test_chain as chain
from tests.proofs.test_reinforcement import RIGHT
from tests.stack import eventually, run_stack
from tests.trainers.runs import write_rows

CLOSE = {
    "type": "text_similarity",
    "name": "close",
    "evaluation_metric": "fuzzy_match",
    "input": "{{ sample.output_text }}",
    "reference": "{{ item.answer }}",
}
GRADER: dict[str, Any] = {
    "type": "multi",
    "name": "sums",
    "graders": {"right": RIGHT, "close": CLOSE},
    "calculate_output": "0.8 * right + 0.2 * close",
}
BROKEN = {"type": "python", "name": "broken", "source": "def grade(sample, item):\n    return item['points']\n"}
# It listens, and what it shows of charts is there.
DRAWN = """() => window.socket?.connected && [...document.querySelectorAll(".nicegui-echart")].every(
  (chart) => !chart.offsetParent || chart.querySelector("canvas, svg"))"""
README = {"job-reinforcement": "light", "rollouts": "dark"}  # their beginnings are in docs/pictures
BEGINNING: Any = {"x": 0, "y": 0, "width": 1280, "height": 1400}
VIEWS = {  # (width in pixels, theme)
    "light": (1280, "light"),
    "dark": (1280, "dark"),
    "phone": (390, "light"),
}


def main() -> int:
    if browser_path() is None:
        sys.exit(NO_BROWSER)
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        place.chmod(0o755)  # PostgreSQL may run as another user
        with run_services(place, durable=False) as services:
            key, operator = make_keys(services.env["TUNESMITH_DATABASE_URL"])
            with run_stack(services, place) as stack, run_dashboard(place, f"{stack.url}/v1") as url:
                with Tunesmith(base_url=f"{stack.url}/v1", api_key=key) as api:
                    pages = work(api, place)
                photograph(url, operator, pages, folder)
    return 0


def photograph(url: str, key: str, pages: dict[str, str], folder: Path) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=["--no-sandbox"])
        for view in VIEWS:
            shoot(browser, url, key, pages, view, folder)
        browser.close()


def make_keys(database_url: str) -> tuple[str, str]:
    """(a project's key, an operator's) in a database that is empty"""
    upgrade(database_url)
    engine = make_engine(Settings(database_url=database_url))
    with session_scope(engine) as session:
        project = ensure_project(session, organization="tunesmith", project="sums")
        keys = (
            create_key(session, project_id=project.id, name="laptop"),
            create_key(session, project_id=None, name="me"),
        )
    engine.dispose()
    return keys


def work(api: Tunesmith, folder: Path) -> dict[str, str]:
    """Models that come from one another, and jobs that failed, run, wait and stand still; the pages to look at."""
    held_out, files = chain.write_files(folder)
    jobs = api.fine_tuning.jobs

    def start(name: str, model: str | None, file: Path, options: dict[str, Any], method: str = "", **more: Any) -> Job:
        kind = method or name
        given: Any = {"type": kind, kind: options}
        return jobs.create(model=model, training_file=file, method=given, suffix=f"sums-{name}", seed=1, **more)

    def train(*given: Any, **more: Any) -> Job:
        job = jobs.wait(start(*given, **more).id, progress=False)
        print(job.fine_tuned_model, flush=True)
        return job

    validation = write_rows(folder / "held-out.jsonl", [adder.pair(asked, adder.answer(asked)) for asked in held_out])
    first = train("initialization", None, files.text, chain.INITIALIZATION)
    second = train("pretraining", first.fine_tuned_model, files.text, chain.PRETRAINING | {"max_steps": 200})
    chats = chain.SUPERVISED | {"max_steps": 800, "eval_interval": 100, "checkpoint_interval": 400}
    chats |= {"samples": {"rows": 20, "max_tokens": adder.LONGEST}}
    third = train("supervised", second.fine_tuned_model, files.chats, chats, validation_file=validation)
    base = third.fine_tuned_model
    train("dpo", base, files.pairs, chain.DPO | {"max_steps": 40})
    rewarded = chain.REINFORCEMENT | {"grader": GRADER, "max_steps": 40, "checkpoint_interval": 20}
    half = jobs.checkpoints.list(third.id).data[-1].fine_tuned_model_checkpoint  # so that there is something to learn
    reinforced = train("reinforcement", half, files.prompts, rewarded)
    judge = train("reward_model", base, files.pairs, chain.REWARD_MODEL | {"max_steps": 100})
    train("ppo", base, files.prompts, chain.PPO | {"max_steps": 10, "reward_models": [judge.fine_tuned_model]})
    with suppress(JobFailedError):
        train("broken", base, files.prompts, rewarded | {"grader": BROKEN}, "reinforcement")

    def submit(name: str, **options: Any) -> Job:
        return start(name, base, files.chats, chats | options, "supervised", validation_file=validation)

    jobs.cancel(submit("cancelled").id)
    long = submit("long", max_steps=100_000, checkpoint_interval=10_000)
    jobs.pause(submit("paused").id)
    for name in ("waits", "waits-too"):
        submit(name)
    eventually(lambda: (jobs.retrieve(long.id).step or 0) > 200, seconds=120, what="a job that is well on its way")
    pages = every_page(trained=third, reinforced=reinforced, file_id=str(reinforced.training_file))
    return pages | {"job-running": f"/jobs/{long.id}"}


def shoot(browser: Browser, url: str, key: str, pages: dict[str, str], view: str, folder: Path) -> None:
    width, theme = VIEWS[view]
    context = browser.new_context(base_url=url, viewport={"width": width, "height": 900}, color_scheme=theme)  # pyright: ignore[reportArgumentType]
    page = context.new_page()
    page.goto("/login")
    page.screenshot(path=folder / f"login-{view}.png")
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Log in").click()
    page.locator("#content h1").wait_for()
    for name, path in pages.items():
        page.goto(path)
        page.wait_for_function(DRAWN)
        page.wait_for_load_state("networkidle")
        page.get_by_text("The API renders them").wait_for(state="hidden")
        page.screenshot(path=folder / f"{name}-{view}.png", full_page=True)
        if README.get(name) == view:
            page.screenshot(path=folder / f"readme-{name}.png", full_page=True, clip=BEGINNING)
    context.close()


if __name__ == "__main__":
    sys.exit(main())
