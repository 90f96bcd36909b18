"""What people do in the dashboard, in a real browser on the real stack."""

from collections.abc import Callable

import httpx
from playwright.sync_api import Page, expect

from tests.conftest import ProjectKey
from tests.dashboard.test_access import new_job
from tests.stack import Stack


def test_the_overview_says_what_runs_and_whether_services_are_well(
    look: Callable[..., Page], stack: Stack, project: ProjectKey, operator_key: str
) -> None:
    page = look(operator_key)
    services = page.get_by_role("status", name="services")
    for name in ("database", "broker", "storage"):
        expect(services.get_by_text(f"{name} ok")).to_be_visible()
    expect(page.get_by_role("region", name="workers").get_by_text("alive")).to_have_count(2)
    job_id = new_job(stack, project.key)  # appears without a reload
    page.get_by_role("link", name="succeeded").click()
    expect(page.get_by_role("link", name=job_id)).to_be_visible()


def test_filters_are_in_the_address_and_say_what_they_do_not_take(
    look: Callable[..., Page], stack: Stack, project: ProjectKey
) -> None:
    job_id = new_job(stack, project.key)
    page = look(project.key, "/jobs")
    page.get_by_label("Search").fill("no-job-is-called-that")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("No job is like that.")).to_be_visible()
    assert "search=no-job-is-called-that" in page.url
    page.keyboard.press("Escape")
    page.goto("/jobs?status=sleeping")
    expect(page.get_by_role("alert")).to_contain_text("sleeping")
    page.get_by_role("link", name="Clear").click()
    expect(page.get_by_role("link", name=job_id)).to_be_visible()


def test_several_jobs_are_cancelled_at_once_and_not_by_mistake(
    look: Callable[..., Page], stack: Stack, project: ProjectKey
) -> None:
    stack.kill("train")
    try:
        made = [new_job(stack, project.key) for _ in range(3)]
        page = look(project.key, "/jobs?status=queued")
        for job_id in made[:2]:
            page.get_by_label(f"tick {job_id}").check()
        page.get_by_role("button", name="Cancel").click()
        page.get_by_role("button", name="Back").click()
        expect(page.get_by_text("2 ticked")).to_be_visible()
        page.get_by_role("button", name="Cancel").click()
        page.get_by_role("button", name="Cancel them").click()
        expect(page.get_by_text("cancel: 2 of 2 jobs")).to_be_visible()
        expect(page.get_by_role("link", name=made[0])).to_have_count(0)
        expect(page.get_by_role("link", name=made[2])).to_be_visible()
        assert [status(stack, project.key, job_id) for job_id in made] == ["cancelled", "cancelled", "queued"]
    finally:
        stack.start("train")


def status(stack: Stack, key: str, job_id: str) -> str:
    headers = {"authorization": f"Bearer {key}"}
    return httpx.get(f"{stack.url}/v1/fine_tuning/jobs/{job_id}", headers=headers).json()["status"]


def test_a_page_says_that_the_api_is_away_and_recovers(
    look: Callable[..., Page], stack: Stack, project: ProjectKey
) -> None:
    page = look(project.key, "/jobs")
    stack.kill("api")
    try:
        expect(page.get_by_text("The API does not answer. Trying again.")).to_be_visible()
    finally:
        stack.start("api")
    expect(page.get_by_text("The API does not answer. Trying again.")).to_be_hidden()
    job_id = new_job(stack, project.key)
    expect(page.get_by_role("link", name=job_id)).to_be_visible()
