"""The pages of jobs, in a real browser, while the jobs really train."""

import json
import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.conftest import ProjectKey
from tests.dashboard.conftest import WAIT
from tests.dashboard.jobs import HOSTILE, client, reinforcement, rows_file, supervised
from tests.stack import Stack

CHART = "getElement(+document.querySelector('.nicegui-echart').id.slice(1)).chart"
POINTS = f"{CHART}.getOption().series[0].data.length"


def test_a_job_is_watched_while_it_trains_and_another_is_cancelled(
    look: Callable[..., Page], stack: Stack, project: ProjectKey, tmp_path: Path
) -> None:
    with client(stack, project.key) as api:
        job = supervised(api, tmp_path)
        page = look(project.key, f"/jobs/{job.id}")
        state = page.get_by_role("status", name="state")
        expect(page.get_by_role("heading", name="Loss")).to_be_visible(timeout=60_000)  # without a reload
        page.get_by_text("The figures in words").click()
        figures = page.get_by_role("region", name="figures")
        expect(figures.get_by_role("row").filter(has_text="train_loss")).to_be_visible()
        expect(state).to_have_text("succeeded")
        expect(page.get_by_text("The job has successfully completed")).to_be_visible()
        expect(page.get_by_role("region", name="attempts").get_by_role("row").last).to_contain_text("succeeded")
        expect(page.get_by_text(f", by the key {job.created_by.name if job.created_by else ''} (")).to_be_visible()
        other = supervised(api, tmp_path, max_steps=100_000)
        page.goto(f"/jobs/{other.id}")
        expect(state).to_have_text("running")
        page.wait_for_function(f"document.querySelector('.nicegui-echart canvas') && {POINTS} > 2")
        facts = page.locator("dl.facts")
        facts.first.locator("dd").first.evaluate("(element) => { element.known = true }")
        took = facts.get_by_text(re.compile(" of GPU, ")).inner_text()
        expect(facts.get_by_text(re.compile(" of GPU, "))).not_to_have_text(took)  # it is charged with each heartbeat
        assert facts.first.locator("dd").first.evaluate("(element) => element.known")  # and nothing else is made anew
        page.evaluate(f"{CHART}.dispatchAction({{type: 'dataZoom', start: 0, end: 50}})")
        page.wait_for_function(f"{POINTS} > {page.evaluate(POINTS)}")
        assert page.evaluate(f"{CHART}.getOption().dataZoom[0].end") < 100  # what came later has not zoomed out
        page.get_by_role("button", name="Cancel").click()
        page.get_by_role("button", name="Cancel it").click()
        expect(state).to_have_text("cancelled")
        expect(page.get_by_text("The job was cancelled on request")).to_be_visible()
        assert api.fine_tuning.jobs.retrieve(other.id).status == "cancelled"
        page.goto(f"/jobs/{job.id}/results?step=1000000")
        expect(page.get_by_text("There is no such checkpoint, or no longer.")).to_be_visible()
        page.get_by_role("link", name="Those that the job yielded").click()
        expect(page.get_by_role("article", name="sample of row")).to_have_count(3)
        expect(
            page.get_by_role("region", name="checkpoints").get_by_role("link", name="Start a job")
        ).not_to_have_count(0)
        with page.expect_download() as download:
            page.get_by_label("download adapter_config.json").click()
        assert "peft_type" in download.value.path().read_text()
        page.goto(f"/compare?jobs={job.id},{other.id}")
        differences = page.get_by_role("region", name="differences")
        expect(differences.get_by_text("method.supervised.max_steps")).to_be_visible()
        expect(page.get_by_role("heading", name="train_loss")).to_be_visible()


def test_the_answers_of_a_reinforcement_job_are_narrowed_down_and_sorted(
    look: Callable[..., Page], stack: Stack, project: ProjectKey, tmp_path: Path
) -> None:
    with client(stack, project.key) as api:
        job = reinforcement(api, tmp_path)
    page = look(project.key, f"/jobs/{job.id}")
    page.get_by_role("link", name="Rollouts").click()
    answers = page.get_by_role("article")
    expect(answers).to_have_count(16, timeout=2 * WAIT)  # without a reload
    prompts = page.get_by_role("region", name="Prompt of row")
    expect(prompts).to_have_count(8)
    expect(prompts.first).to_contain_text(HOSTILE.split("{{")[0])
    page.get_by_label("Least step").fill("4")
    page.get_by_label("Order by").select_option("reward")
    page.get_by_role("button", name="Show").click()
    expect(answers).to_have_count(4)
    assert "min_step=4" in page.url
    page.get_by_label("Grader", exact=True).fill("nobody")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("the job's rewards have no 'nobody'")).to_be_visible()
    page.goto(f"/jobs/new?clone={job.id}")
    expect(page.get_by_text("Ready.")).to_be_visible()
    again = json.loads(page.get_by_label("As it is sent").input_value())["method"]["reinforcement"]
    assert set(again) == {"grader", "max_steps", "max_completion_tokens", "group_size", "hyperparameters"}


def test_the_lineage_shows_what_a_job_is_rewarded_by_and_what_goes_on_from_it(
    look: Callable[..., Page], stack: Stack, project: ProjectKey, tmp_path: Path
) -> None:
    pairs = [{"prompt": f"say {i}", "chosen": "yes", "rejected": "no"} for i in range(8)]
    with client(stack, project.key) as api:
        jobs = api.fine_tuning.jobs
        first = jobs.wait(supervised(api, tmp_path, max_steps=1).id, progress=False)
        scored = jobs.create(
            model=first.fine_tuned_model,
            training_file=rows_file(tmp_path, pairs, "pairs.jsonl"),
            method={"type": "reward_model", "reward_model": {"max_steps": 1}},  # pyright: ignore[reportArgumentType]
        )
        judge = jobs.wait(scored.id, progress=False).fine_tuned_model
        page = look(project.key, f"/jobs/{scored.id}/lineage")
        onward = page.get_by_role("list", name="jobs that go on from it")
        expect(page.get_by_text("No job goes on from it yet")).to_be_visible()
        prompts = rows_file(
            tmp_path, [{"messages": [{"role": "user", "content": f"say {i}"}]} for i in range(8)], "prompts.jsonl"
        )
        ppo = {"type": "ppo", "ppo": {"reward_models": [judge], "max_steps": 1}}
        stack.kill("train")
        try:
            rewarded = jobs.create(model=first.fine_tuned_model, training_file=prompts, method=ppo)  # pyright: ignore[reportArgumentType]
            expect(onward.get_by_role("link", name=rewarded.id)).to_be_visible()  # without a reload
            expect(onward).to_contain_text(f"ppo, rewarded by {judge}")
            onward.get_by_role("link", name=rewarded.id).click()
            page.get_by_role("link", name="Lineage").click()
            given = page.get_by_role("list", name=f"what {rewarded.id} was given")
            expect(given.get_by_role("link", name="prompts.jsonl")).to_be_visible()
            expect(given.get_by_role("link", name=str(judge))).to_be_visible()
            expect(given.get_by_role("link", name=scored.id, exact=True)).to_be_visible()
            expect(given.get_by_role("link", name="pairs.jsonl")).to_be_visible()
            expect(given.get_by_text("Its line is on this page already.")).to_be_visible()
        finally:
            stack.start("train")
        made = jobs.wait(rewarded.id, progress=False).fine_tuned_model
    line = page.get_by_role("list").filter(has=page.get_by_role("link", name=f"spec of {rewarded.id}")).first
    expect(line.get_by_role("link", name=str(made))).to_be_visible()  # without a reload
    page.goto(f"/jobs?from_job={scored.id}")
    expect(page.get_by_role("region", name="jobs").get_by_role("link", name="ftjob-")).to_have_text([rewarded.id])
    page.goto(f"/models/{first.fine_tuned_model}")
    branches = page.get_by_role("list", name="jobs that go on from it").get_by_role("listitem")
    expect(branches.filter(has_text=scored.id)).to_contain_text(f"reward model, starts from {first.fine_tuned_model}")


def test_what_belongs_to_others_is_refused_in_words(
    look: Callable[..., Page], stack: Stack, make_project: Callable[[str], ProjectKey], tmp_path: Path
) -> None:
    ours, theirs = make_project("ours"), make_project("theirs")
    with client(stack, theirs.key) as api:
        job = supervised(api, tmp_path)
    page = look(ours.key)
    for ending in ("", "/rollouts", "/results", "/lineage", "/spec", "/log"):
        page.goto(f"/jobs/{job.id}{ending}")
        expect(page.get_by_text(f"no fine-tuning job '{job.id}'")).to_be_visible()
    page.goto(f"/compare?jobs={job.id}")
    expect(page.get_by_text(f"no fine-tuning job '{job.id}'")).to_be_visible()
    assert page.request.get(f"/jobs/{job.id}/metrics.csv").status == 404
    page.goto("/jobs/%3Cscript%3E%22")
    expect(page.get_by_text("no fine-tuning job")).to_be_visible()
