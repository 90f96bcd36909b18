"""The answers that a job has learnt from: narrowed down and sorted by what the address says."""

import json
from itertools import groupby
from typing import Any

from nicegui import ui
from nicegui.element import Element
from starlette.requests import Request
from tunesmith import AsyncPage, AsyncPages
from tunesmith.types import Rollout

from dashboard.cells import job_path
from dashboard.elements import Entries, Text, box, link, shown
from dashboard.filters import Pages, asked_of, choice, field, filters, words_of
from dashboard.frame import PAGE_SECONDS, Frame, frame
from dashboard.job_frame import JobFrame, job_of
from dashboard.words import clipped, number

PER_PAGE = 32  # so that groups of the usual sizes are whole
LONGEST = 20_000  # characters of a text; the artifact has all of it
RANGES = {"step": "Step", "reward": "Reward", "advantage": "Advantage", "completion_tokens": "Tokens"}
ORDERS = (*RANGES, "grader_reward")
BOUNDS = tuple(f"{end}_{what}" for what in (*RANGES, "grader_reward") for end in ("min", "max"))
FLAGS = {"truncated": "Cut off", "failed": "Not graded"}
FILTERS = ("q", "row", "grader", *BOUNDS, *FLAGS, "order_by", "order")


@ui.page("/jobs/{job_id}/rollouts", response_timeout=PAGE_SECONDS)
async def rollouts_page(request: Request, job_id: str) -> None:
    asked = asked_of(request, *FILTERS)
    after = request.query_params.get("after") or None
    with frame(f"Rollouts of {clipped(job_id, 40)}", request) as here:
        job = await job_of(here, job_id)
        if job is None:
            return
        head = JobFrame(here, job, "/rollouts")

        def listed() -> AsyncPages[Rollout]:
            return here.api.fine_tuning.jobs.rollouts.list(job_id, limit=PER_PAGE, after=after, **wanted(asked))

        seen = (await here.fetched(newest(here, job_id)), job.status)  # before the answers: so none is missed
        page = await here.fetched(listed())
        filter_form(job_id, asked, sorted({name for rollout in page.data for name in rollout.rewards} if page else ()))
        if page is None:
            return
        none = "No answer is like that." if asked else "No answers yet: the first checkpoint brings some."
        answers = Answers(job_id, none)
        pages = Pages(job_path(job_id, "/rollouts"), asked, after, first="First", more="More")

        def show_page(page: AsyncPage[Rollout]) -> None:
            answers.show(page.data)
            pages.show(page)

        show_page(page)

        async def refresh() -> None:
            nonlocal seen
            ended = head.job.ended
            await head.refresh()
            if after or ended:  # what follows an answer may be another page by now
                return
            if (now := (await newest(here, job_id), head.job.status)) != seen:
                show_page(await listed())
                seen = now

        await here.live(refresh)


async def newest(here: Frame, job_id: str) -> str | None:
    """The id of the latest checkpoint: with each come other answers."""
    found = await here.api.fine_tuning.jobs.checkpoints.list(job_id, limit=1)
    return found.data[0].id if found.data else None


class Answers:
    """Answers in their order, those to one prompt of one step together; what is there stays when others come."""

    def __init__(self, job_id: str, none: str) -> None:
        self.job_id = job_id
        self.nothing = Text("p", none, classes="panel empty")
        self._entries = Entries(box("div", "rollout"))

    def show(self, rollouts: list[Rollout]) -> None:
        shown(self.nothing, not rollouts)
        together = [list(group) for _, group in groupby(rollouts, lambda one: (one.step, one.row))]
        groups = {" ".join(one.id for one in group): group for group in together}
        self._entries.show(groups, lambda name: show_group(self.job_id, groups[name]))


def wanted(asked: dict[str, str]) -> dict[str, Any]:
    """As the SDK takes them. What is no number goes along as it is: the API says what is wrong with it."""
    return {name: value == "yes" if name in FLAGS else value for name, value in asked.items()}


def filter_form(job_id: str, asked: dict[str, str], graders: list[str]) -> None:
    """graders: names to choose from."""
    with filters(job_path(job_id, "/rollouts"), asked, classes="panel"):
        field("Row", "row", asked, type="number", min="0")
        field("Words", "q", asked, type="search", placeholder="in prompt or completion")
        for name, title in RANGES.items():
            bounds(title, name, asked)
        field("Grader", "grader", asked, list="graders")
        with box("datalist", id="graders"):
            for name in graders:
                box("option", value=name)
        bounds("Its reward", "grader_reward", asked)
        for name, title in FLAGS.items():
            choice(title, name, asked, words_of(("yes", "no"), first="either"))
        choice("Order by", "order_by", asked, words_of(ORDERS))
        choice("Order", "order", asked, [("desc", "largest first"), ("asc", "smallest first")])


def bounds(title: str, name: str, asked: dict[str, str]) -> None:
    with box("fieldset", "range"):
        Text("legend", title)
        for end, words in (("min", "least"), ("max", "most")):
            key, label = f"{end}_{name}", f"{words} {title.lower()}"
            given = asked.get(key, "")
            box("input", type="number", step="any", name=key, defaultValue=given, placeholder=words, aria_label=label)


def show_group(job_id: str, group: list[Rollout]) -> Element:
    """The prompt, and beside it what was answered."""
    first = group[0]
    title = f"Prompt of row {first.row}, step {number(first.step)}"
    with box("section", "panel halves", aria_label=title) as made:
        with box("div"):
            Text("h3", title)
            link("All answers to it", f"{job_path(job_id, '/rollouts')}?row={first.row}")
            for message in first.prompt:
                said(message_text(message))
        with box("div"):
            for rollout in group:
                show(rollout)
    return made


def show(rollout: Rollout) -> None:
    with box("article", aria_label=f"answer {rollout.id}"):
        with box("div", "top"):
            Text("strong", f"reward {number(rollout.reward)}")
            Text("span", f"advantage {rollout.advantage:+.3f}")
            Text("span", f"{number(rollout.completion_tokens)} tokens", classes="quiet")
            if rollout.truncated:
                Text("span", "cut off", classes="badge paused")
            if rollout.error:
                Text("span", "not graded", classes="badge failed")
        if rollout.error:
            Text("p", clipped(rollout.error, 300), classes="fault break")
        if rollout.rewards:
            with box("div", "top quiet"):
                for name, value in rollout.rewards.items():
                    Text("span", f"{clipped(name, 60)} {number(value)}")
        said(rollout.completion)


def said(text: str) -> None:
    """A text that a user or a model has written, as it is."""
    more = f"\n… and {len(text) - LONGEST:,} characters more" if len(text) > LONGEST else ""
    Text("div", text[:LONGEST] + more, classes="pre", tabindex=0)


def text_of(content: Any) -> str:
    """A message's content, which may be in parts."""
    return content if isinstance(content, str) else "" if content is None else json.dumps(content, ensure_ascii=False)


def message_text(message: dict[str, Any]) -> str:
    """Who says what; and what else it has, such as calls of tools."""
    other = {name: value for name, value in message.items() if name not in ("role", "content")}
    also = f"\n{json.dumps(other, ensure_ascii=False)}" if other else ""
    return f"{message.get('role', '')}: {text_of(message.get('content'))}{also}"
