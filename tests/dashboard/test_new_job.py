"""New jobs, the files that they learn from and the models that they make, by the dashboard alone."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import ProjectKey
from tests.dashboard.conftest import WAIT
from tests.dashboard.test_access import new_job
from tests.dashboard.test_job import POINTS
from tests.stack import Stack, eventually

ROW = {"messages": [{"role": "user", "content": "Is <b>it</b> so?"}, {"role": "assistant", "content": "a@b.org: yes"}]}


def upload(page: Page, folder: Path, *rows: Mapping[str, object]) -> str:
    """The id of a file with those rows, once it is validated; the browser is at its page."""
    path = folder / "a name ü.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    page.goto("/data")
    page.locator("input[type=file]").set_input_files(path)
    page.get_by_role("button", name="Upload").click()
    page.wait_for_url("**/data/file-*")
    expect(page.get_by_role("heading", name="Faults")).to_be_visible()
    return page.url.rpartition("/")[2]


def test_a_file_is_uploaded_looked_at_and_deleted(
    look: Callable[..., Page], project: ProjectKey, tmp_path: Path
) -> None:
    page = look(project.key)
    file_id = upload(page, tmp_path, ROW, ROW)
    expect(page.get_by_text("in 2 rows, first in lines 1, 2")).to_be_visible()
    page.get_by_label("Model").fill("tiny-random-llama")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**model=tiny-random-llama**")
    either = page.get_by_text(re.compile("^Row 2: |is not known yet")).first

    def are_shown() -> bool:
        page.reload()
        either.wait_for()
        return "Row 2" in either.inner_text()

    # Once the train worker, which may have started just now, has told what the model's tokens are.
    eventually(are_shown, seconds=200, what="rows as tokens")
    expect(page.locator("u.trained", has_text="a@b.org: yes")).to_have_count(2)
    expect(page.locator("span.masked", has_text="Is <b>it</b> so?")).to_have_count(2)
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_text("No files yet.")).to_be_visible()
    page.goto(f"/data/{file_id}")
    expect(page.get_by_text(f"no file '{file_id}'")).to_be_visible()


def test_faults_are_shown_by_line(look: Callable[..., Page], project: ProjectKey, tmp_path: Path) -> None:
    page = look(project.key)
    upload(page, tmp_path, ROW, {"messages": [{"role": "robot", "content": "x"}]})
    row = page.get_by_role("region", name="faults").get_by_role("row").nth(1)
    expect(row).to_contain_text("2messages[0].role'robot' is not one of")


def test_a_job_is_written_checked_made_once_and_made_again(
    look: Callable[..., Page], project: ProjectKey, tmp_path: Path
) -> None:
    page = look(project.key)
    file_id = upload(page, tmp_path, ROW, ROW)
    page.get_by_role("link", name="Train on it").click()
    spec = page.get_by_label("As it is sent")
    page.get_by_label("model", exact=True).fill("tiny-random-llama")
    page.get_by_label("max_steps", exact=True).fill("none")
    expect(page.get_by_role("listitem")).to_contain_text("max_steps: must be an integer; given 'none'")
    page.get_by_label("max_steps", exact=True).fill("100000")
    expect(page.get_by_text("Ready.")).to_be_visible()
    spec.fill(spec.input_value().replace("{", '{"sufix": "x",', 1))
    expect(page.get_by_role("listitem")).to_contain_text("sufix: unknown key; allowed here: ")
    spec.fill(spec.input_value().replace("sufix", "suffix"))
    expect(page.get_by_label("suffix", exact=True)).to_have_value("x")
    page.get_by_role("button", name="Estimate").click()
    expect(page.get_by_text(re.compile("^100.000, "))).to_be_visible()
    page.get_by_role("button", name="Create job").dblclick()
    page.wait_for_url("**/jobs/ftjob-*")
    job_id = page.url.rpartition("/")[2]
    page.wait_for_function(f"document.querySelector('.nicegui-echart canvas') && {POINTS} > 2", timeout=2 * WAIT)
    page.wait_for_function(f"{POINTS} > {page.evaluate(POINTS)}")  # the curve moves
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel it").click()
    expect(page.get_by_role("status", name="state")).to_have_text("cancelled")
    page.goto("/jobs")
    expect(page.get_by_role("region", name="jobs").get_by_role("row")).to_have_count(2)  # with the titles'
    page.goto(f"/jobs/new?clone={job_id}")
    again = json.loads(page.get_by_label("As it is sent").input_value())
    assert (again["suffix"], again["training_file"]) == ("x", file_id)
    assert again["method"]["supervised"]["max_steps"] == 100_000


def test_a_model_shows_where_it_comes_from_and_is_trained_on(
    look: Callable[..., Page], stack: Stack, project: ProjectKey
) -> None:
    page = look(project.key, "/models?kind=fine_tuned")
    job_id = new_job(stack, project.key)  # its model appears without a reload
    page.get_by_role("region", name="models").get_by_role("link", name="ft:").first.click(timeout=2 * WAIT)
    expect(page.get_by_text("initialization job")).to_be_visible()
    expect(page.get_by_role("link", name=job_id, exact=True)).to_be_visible()
    expect(page.get_by_text("Random weights of the architecture")).to_be_visible()
    name = page.get_by_role("heading", level=1).inner_text()
    page.get_by_role("link", name="Train on from here").click()
    expect(page.get_by_label("model", exact=True)).to_have_value(name)
    page.goto("/projects?measure=jobs")
    expect(page.get_by_role("region", name="use by day and project").get_by_role("row")).to_have_count(2)


@pytest.mark.parametrize("path", ["/data/", "/models/", "/jobs/new?clone="])
@pytest.mark.parametrize("name", ["nope", "a%b", "<b>x</b>"])
def test_what_is_not_there_is_told_in_the_api_s_words(
    look: Callable[..., Page], project: ProjectKey, path: str, name: str
) -> None:
    page = look(project.key, path + quote(name, safe=""))
    expect(page.locator(".content > .note.fault")).to_contain_text(name)
    assert page.locator("b").count() == 0
