"""What people do in the dashboard, in a real browser on the real stack."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from zoneinfo import ZoneInfo

import httpx
from playwright.sync_api import Page, expect
from sqlalchemy import Engine, text
from tunesmith.types import UsageRow

from core.db import session_scope
from core.jobs import claims
from core.jobs.service import pause
from dashboard.pages.overview import SERVICES, SHOWN
from dashboard.pages.projects import MOST_SHOWN, sums
from embedded.ports import free_ports
from tests.chaos.proxy import Proxy
from tests.conftest import ProjectKey
from tests.core.factories import make_job
from tests.dashboard.axe import grave
from tests.dashboard.conftest import run_dashboard
from tests.dashboard.jobs import client, rows_file
from tests.dashboard.test_access import new_job
from tests.stack import Stack


def test_the_overview_says_what_runs_and_whether_services_are_well(
    look: Callable[..., Page], stack: Stack, project: ProjectKey, operator_key: str
) -> None:
    page = look(operator_key)
    services = page.get_by_role("status", name="services")
    for name in SERVICES:
        expect(services.get_by_text(f"{name} ok")).to_be_visible()
    expect(page.get_by_role("region", name="workers").get_by_text("alive").first).to_be_visible()
    for name in ("train", "cpu", "webhooks"):
        expect(page.get_by_role("region", name="queues").get_by_text(name, exact=True)).to_be_visible()
    stack.kill("api")
    try:
        for name in SERVICES:
            expect(services.get_by_text(f"{name} unknown")).to_be_visible()
    finally:
        stack.start("api")
    expect(services.get_by_text("database ok")).to_be_visible()
    job_id = new_job(stack, project.key)
    with client(stack, project.key) as api:
        api.fine_tuning.jobs.wait(job_id, progress=False)
    succeeded = page.locator(".card").filter(has_text="succeeded, 24 h")
    expect(succeeded.locator(".figure")).to_have_text("1")  # without a reload
    page.get_by_role("link", name="all that succeeded").click()
    expect(page.get_by_role("link", name=job_id)).to_be_visible()


def test_more_jobs_run_than_the_overview_lists(
    look: Callable[..., Page], stack: Stack, engine: Engine, project: ProjectKey
) -> None:
    """One of them is about to pause."""
    stack.kill("train")
    try:
        with session_scope(engine) as session:
            made = [make_job(session, project.owner).id for _ in range(SHOWN + 1)]
            for _ in made:
                claims.claim(session, worker_id="w", devices=0, lease=600)
            pause(session, owner=project.owner, job_id=made[0])
        page = look(project.key)
        expect(page.get_by_role("region", name="running jobs").locator("tbody tr")).to_have_count(SHOWN)
        page.get_by_role("link", name=f"All {SHOWN + 1} that run").click()
        expect(page.get_by_label("tick ftjob-")).to_have_count(SHOWN + 1)
    finally:
        stack.start("train")


def test_a_file_shows_how_long_its_rows_are_and_a_preview_what_it_does_not_take(
    look: Callable[..., Page], stack: Stack, engine: Engine, project: ProjectKey, tmp_path: Path
) -> None:
    with client(stack, project.key) as api:
        path = rows_file(tmp_path, [chat("x" * 9), chat("x" * 9), chat("x" * 499)])
        file = api.files.wait_for_processing(api.files.create(file=path, purpose="fine-tune").id)
    page = look(project.key, f"/data/{file.id}?model=tiny-random-llama&max_length=ten")
    bars = page.get_by_role("table", name="rows by their length").get_by_role("row")
    expect(bars.filter(has_text=re.compile("^10 (to .*)?characters2"))).to_have_count(1)
    expect(bars.filter(has_text=re.compile("500 characters1"))).to_have_count(1)
    expect(page.get_by_text("takes a whole number of tokens")).to_be_visible()
    with engine.begin() as connection:  # as a version has left it that had no histogram
        connection.execute(text("UPDATE files SET report = report #- '{characters,histogram}'"))
    page.goto(f"/data/{file.id}")
    expect(page.get_by_role("table", name="lengths of rows").get_by_text("shortest")).to_be_visible()


def chat(question: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": "y"}]}


def test_use_of_projects_of_one_name_is_kept_apart() -> None:
    rows = [UsageRow(project_id=project, day="2026-11-27", cpu_seconds=3600) for project in ("a", "b", "c")]
    found = sums(rows, {"a": "one", "b": "one", "c": "two"}, lambda row: row.cpu_seconds)
    assert found == {name: {"2026-11-27": 3600} for name in ("one (a)", "one (b)", "two")}
    rows += [UsageRow(project_id=f"p{n}", day="2026-11-26", cpu_seconds=1) for n in range(MOST_SHOWN)]
    rest = sums(rows, {}, lambda row: row.cpu_seconds)["all others"]
    assert rest == {"2026-11-26": 3}


def test_projects_show_a_job_that_is_new(look: Callable[..., Page], stack: Stack, project: ProjectKey) -> None:
    page = look(project.key, "/projects")
    expect(page.get_by_text("No job was created in these days.")).to_be_visible()
    new_job(stack, project.key)
    expect(page.get_by_role("figure", name="CPU time by day and project")).to_be_visible()


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
    for path in ("/jobs?status=sleeping", "/data?after=sleeping", "/models?kind=sleeping", "/jobs?after=sleeping"):
        page.goto(path)
        expect(page.get_by_role("alert")).to_contain_text(re.compile(r"sleeping.* \(request req.+\)$"))
    expect(page.get_by_text("Trying again.")).to_be_hidden()
    page.get_by_role("link", name="Newest").click()
    expect(page.get_by_role("link", name=job_id)).to_be_visible()


def test_keys_lead_on_and_times_and_colours_are_the_reader_s(
    look: Callable[..., Page], stack: Stack, project: ProjectKey
) -> None:
    with client(stack, project.key) as api:
        job = api.fine_tuning.jobs.retrieve(new_job(stack, project.key))
    page = look(project.key, "/jobs", zone="Etc/GMT+11")
    there = datetime.fromtimestamp(job.created_at, ZoneInfo("Etc/GMT+11")).strftime("%Y-%m-%d %H:%M:%S")
    expect(page.get_by_role("row").filter(has_text=job.id)).to_contain_text(there)
    page.keyboard.press("/")
    expect(page.get_by_label("Search")).to_be_focused()
    page.keyboard.type("gm")
    expect(page.get_by_label("Search")).to_have_value("gm")
    page.get_by_role("heading", name="Jobs").click()
    page.keyboard.press("g")
    page.keyboard.press("m")
    page.wait_for_url("**/models")
    page.keyboard.press("g")
    page.keyboard.press("n")
    page.get_by_label("As it is sent").fill('{"model": "nobody", "training_file": "file-none"}')
    page.get_by_role("button", name="Create job").press("Enter")
    told = page.get_by_role("alert").filter(has_text=re.compile(r"nobody.* \(request req.+\)$"))
    expect(told).to_be_visible()
    page.get_by_role("button", name="Close").press("Enter")
    expect(told).to_have_count(0)
    root = page.locator("html")
    expect(root).to_have_attribute("data-theme", "light")
    page.get_by_role("button", name="Theme").click()
    page.reload()
    expect(root).to_have_attribute("data-theme", "dark")


def test_a_job_is_paused_and_resumed_by_its_buttons(
    look: Callable[..., Page], stack: Stack, project: ProjectKey
) -> None:
    stack.kill("train")
    try:
        job_id = new_job(stack, project.key)
        page = look(project.key, f"/jobs/{job_id}")
        beside = page.context.new_page()
        beside.goto(f"/compare?jobs={job_id}")
        state = page.get_by_role("status", name="state")
        expect(state).to_have_text("queued")
        page.get_by_role("button", name="Pause").click()
        expect(state).to_have_text("paused")
        expect(beside.get_by_role("region", name="jobs").get_by_text("paused")).to_be_visible()
        page.get_by_role("button", name="Resume").click()
        expect(state).to_have_text("queued")
    finally:
        stack.start("train")


def test_several_jobs_are_cancelled_at_once_and_not_by_mistake(
    look: Callable[..., Page], stack: Stack, project: ProjectKey, operator_key: str
) -> None:
    stack.kill("train")
    try:
        made = [new_job(stack, project.key) for _ in range(3)]
        page = look(project.key, "/jobs?status=queued")
        for job_id in made[:2]:
            page.get_by_label(f"tick {job_id}").check()
        page.get_by_role("button", name="Cancel", exact=True).click()
        expect(page.get_by_role("button", name="Back")).to_be_focused()
        assert grave(page) == []
        page.get_by_role("button", name="Back").click()
        expect(page.get_by_text("2 ticked")).to_be_visible()
        page.get_by_role("button", name="Cancel", exact=True).click()
        page.get_by_role("button", name="Cancel them").click()
        expect(page.get_by_text("cancel: 2 of 2 jobs")).to_be_visible()
        expect(page.get_by_role("link", name=made[0])).to_have_count(0)
        expect(page.get_by_role("link", name=made[2])).to_be_visible()
        assert [status(stack, project.key, job_id) for job_id in made] == ["cancelled", "cancelled", "queued"]
        page = look(operator_key, "/jobs?status=cancelled")
        for job_id in made[:2]:
            page.get_by_label(f"tick {job_id}").check()
        expect(page.get_by_role("button", name="Clone")).to_have_count(0)  # whose project would it be?
        page.get_by_role("button", name="Pause").click()
        told = page.get_by_role("alert").filter(has_text="pause was refused")
        for job_id in made[:2]:
            expect(told).to_contain_text(f"{job_id}: ")
    finally:
        stack.start("train")


def test_jobs_stay_ticked_while_others_come_and_are_cloned_at_once(
    look: Callable[..., Page], stack: Stack, project: ProjectKey
) -> None:
    stack.kill("train")
    try:
        made = [new_job(stack, project.key) for _ in range(2)]
        page = look(project.key, "/jobs")
        for job_id in made:
            page.get_by_label(f"tick {job_id}").check()
        expect(page.get_by_role("link", name=new_job(stack, project.key))).to_be_visible()
        expect(page.get_by_label(f"tick {made[0]}")).to_be_checked()
        page.get_by_role("button", name="Clone").click()
        page.get_by_role("button", name="Clone them").click()
        expect(page.get_by_text("clone: 2 of 2 jobs")).to_be_visible()
        expect(page.get_by_label("tick ftjob-")).to_have_count(5)
    finally:
        stack.start("train")


def status(stack: Stack, key: str, job_id: str) -> str:
    headers = {"authorization": f"Bearer {key}"}
    return httpx.get(f"{stack.url}/v1/fine_tuning/jobs/{job_id}", headers=headers).json()["status"]


class Maintenance(BaseHTTPRequestHandler):
    """What a proxy may show meanwhile."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<h1>We will be back soon</h1>")


@contextmanager
def in_its_place(port: int) -> Iterator[None]:
    server = HTTPServer(("127.0.0.1", port), Maintenance)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_page_says_that_the_api_is_away_and_recovers(
    look: Callable[..., Page], stack: Stack, project: ProjectKey
) -> None:
    page = look(project.key, "/jobs")
    stack.kill("api")
    try:
        expect(page.get_by_text("The API does not answer. Trying again.")).to_be_visible()
        with in_its_place(int(stack.url.rpartition(":")[2])):
            expect(page.get_by_text("The API does not answer.")).to_be_hidden()
            expect(page.get_by_text("Trying again.")).to_be_visible()
    finally:
        stack.start("api")
    expect(page.get_by_text("Trying again.")).to_be_hidden()
    job_id = new_job(stack, project.key)
    expect(page.get_by_role("link", name=job_id)).to_be_visible()


def test_of_two_replicas_one_dies_and_an_open_page_goes_on(
    look: Callable[..., Page], stack: Stack, project: ProjectKey, tmp_path: Path
) -> None:
    second = replace(stack, url=f"http://127.0.0.1:{free_ports(1)[0]}", children={})
    second.start("api")
    proxy = Proxy(*(int(one.url.rpartition(":")[2]) for one in (stack, second)), http=True, seed=0)
    proxy.start()
    try:
        with run_dashboard(tmp_path, f"http://127.0.0.1:{proxy.port}/v1") as url:
            page = look(project.key, f"{url}/jobs")
            second.kill("api")
            job_id = new_job(stack, project.key)
            expect(page.get_by_role("link", name=job_id)).to_be_visible()
            expect(page.get_by_text("Trying again.")).to_be_hidden()
            page.close()  # before its server goes, which it would miss
    finally:
        proxy.stop()
        second.children["api"].stop(5)
