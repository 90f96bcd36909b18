"""What a job's pages give to take along, figures as CSV and code to the clipboard; and other looks of its charts."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect
from sqlalchemy import Engine

from core.db import session_scope
from core.jobs import claims, publishing
from tests.conftest import ProjectKey
from tests.core.factories import make_job
from tests.dashboard.jobs import client, supervised
from tests.stack import Stack

CHART = "getElement(+document.querySelector('.nicegui-echart').id.slice(1)).chart.getOption()"


def test_figures_are_taken_along_and_drawn_in_other_ways_and_code_is_copied(
    look: Callable[..., Page], stack: Stack, project: ProjectKey, tmp_path: Path
) -> None:
    with client(stack, project.key) as api:
        job = api.fine_tuning.jobs.wait(supervised(api, tmp_path).id, progress=False)
    page = look(project.key, f"/jobs/{job.id}")
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    rows = list(csv.DictReader(download.value.path().read_text().splitlines()))
    assert [int(row["step"]) for row in rows] == list(range(1, 13))
    assert all(float(row["train_loss"]) > 0 for row in rows)

    page.get_by_role("link", name="Strong").click()
    page.get_by_role("link", name="Log scale").click()
    assert "smooth=strong" in page.url
    page.wait_for_function("document.querySelector('.nicegui-echart canvas')")
    assert page.evaluate(f"{CHART}.yAxis[0].type") == "log"

    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("link", name="Spec").click()
    page.get_by_role("button", name="copy JSON").click()
    expect(page.get_by_role("button", name="copy JSON")).to_have_text("Copied")
    copied = json.loads(page.evaluate("navigator.clipboard.readText()"))
    assert copied["training_file"] == job.training_file
    assert copied["method"]["supervised"]["max_steps"] == 12


def test_the_log_grows_while_somebody_reads_it(
    look: Callable[..., Page], stack: Stack, engine: Engine, project: ProjectKey
) -> None:
    stack.kill("train")
    try:
        with session_scope(engine) as session:
            job = make_job(session, project.owner)
            assert claims.claim(session, worker_id="w", devices=0, lease=3600) is job
            job_id, token = job.id, job.token or 0
        page = look(project.key, f"/jobs/{job_id}/log")
        expect(page.get_by_text("Nothing yet.")).to_be_visible()
        for start, said in ((0, "first line\n"), (11, "second\n")):
            with session_scope(engine) as session:
                publishing.record_log(session, token=token, lease=3600, start=start, end=start + len(said), text=said)
            expect(page.get_by_role("log")).to_contain_text(said.strip())
        expect(page.get_by_role("log")).to_contain_text(f"attempt {token}first line")
        expect(page.get_by_text("Nothing yet.")).to_be_hidden()
    finally:
        stack.start("train")
