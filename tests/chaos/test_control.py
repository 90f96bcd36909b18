"""Pause, resume and cancel: in every state and at any moment, and nothing is lost or left over."""

import random
from collections.abc import Callable

import pytest
from openai import BadRequestError, OpenAI
from sqlalchemy import Engine, func, select

from core.db import session_scope
from core.models import Artifact, Attempt, Event, Job
from tests.chaos.test_faults import adapter_digest, create, undisturbed
from tests.e2e.test_openai import finish
from tests.stack import Stack, eventually

pytestmark = pytest.mark.chaos
__all__ = ["undisturbed"]
REFUSED = "refused"
ACTIONS = ("pause", "resume", "cancel")
# What each action answers in each state that lasts for as long as nobody does anything.
ANSWERS = {
    "validating_files": (REFUSED, REFUSED, "cancelled"),
    "queued": ("paused", REFUSED, "cancelled"),
    "paused": ("paused", "queued", "cancelled"),
    "cancelled": (REFUSED, REFUSED, REFUSED),
}
MOMENTS = 3  # at which one job is paused, and at which one is cancelled


@pytest.fixture(scope="module")
def known() -> dict[str, str]:
    return {}


def status(client: OpenAI, job_id: str) -> str:
    return client.fine_tuning.jobs.retrieve(job_id).status


def act(client: OpenAI, action: str, job_id: str) -> str:
    try:
        return getattr(client.fine_tuning.jobs, action)(job_id).status
    except BadRequestError as error:
        return REFUSED if error.code == "invalid_state" else str(error)


def events(engine: Engine, job_id: str) -> int:
    with session_scope(engine) as session:
        return session.scalar(select(func.count()).where(Event.job_id == job_id)) or 0


def more_events(engine: Engine, job_id: str, draw: random.Random) -> Callable[[], bool]:
    """Whether a number of events more than now, which is drawn, has come: a moment somewhere in the job's life."""
    wanted = events(engine, job_id) + draw.randint(0, 25)
    return lambda: events(engine, job_id) >= wanted


@pytest.mark.parametrize("state", ANSWERS)
def test_in_a_state_that_lasts(stack: Stack, openai: OpenAI, state: str) -> None:
    away = ("cpu", "train") if state == "validating_files" else ("train",)
    for name in away:
        stack.children[name].stop(30)
    try:
        for action, answer in zip(ACTIONS, ANSWERS[state], strict=True):
            job_id = create(openai)
            if state != "validating_files":
                eventually(lambda job_id=job_id: status(openai, job_id) == "queued", seconds=30, what="its file")
            if state in ("paused", "cancelled"):
                act(openai, {"paused": "pause", "cancelled": "cancel"}[state], job_id)
            assert status(openai, job_id) == state
            assert act(openai, action, job_id) == answer, action
            assert status(openai, job_id) == (state if answer == REFUSED else answer)
    finally:
        for name in away:
            stack.start(name)


@pytest.mark.parametrize("seed", range(2))
def test_paused_at_any_moment_the_job_ends_with_the_same_bytes(
    stack: Stack, openai: OpenAI, engine: Engine, undisturbed: str, seed: int
) -> None:
    draw, job_id = random.Random(seed), create(openai)
    for _ in range(MOMENTS):
        eventually(more_events(engine, job_id, draw), seconds=60, what="events of the job")
        answer = act(openai, "pause", job_id)
        if answer == REFUSED:  # its file is not validated yet, or it has ended
            continue
        # Once more while it is pausing changes nothing; to resume it is too early.
        assert act(openai, "pause", job_id) in ("pausing", "paused")
        eventually(lambda: status(openai, job_id) != "pausing", seconds=60, what="the pause")
        if status(openai, job_id) == "paused":
            eventually(lambda: not stack.trainers(), seconds=10, what="the trainer's end")
            assert act(openai, "resume", job_id) == "queued"
    assert finish(openai, job_id).status == "succeeded"
    assert adapter_digest(engine, job_id) == undisturbed
    with session_scope(engine) as session:
        job = session.get_one(Job, job_id)
        assert (job.faults, job.losses) == (0, 0)
        numbers = list(session.scalars(select(Event.seq).where(Event.job_id == job_id).order_by(Event.seq)))
        assert numbers == list(range(1, len(numbers) + 1))


def test_cancelled_at_any_moment_nothing_goes_on_and_nothing_is_left(
    stack: Stack, openai: OpenAI, engine: Engine
) -> None:
    draw = random.Random(0)
    for i in range(MOMENTS):
        job_id = create(openai)
        eventually(more_events(engine, job_id, draw), seconds=60, what="events of the job")
        if i == 1:
            act(openai, "pause", job_id)  # it may still be pausing when it is cancelled
        if act(openai, "cancel", job_id) == REFUSED:
            assert status(openai, job_id) == "succeeded"
            continue
        last = events(engine, job_id)
        eventually(lambda: not stack.trainers(), seconds=20, what="the trainer's end")
        assert status(openai, job_id) == "cancelled"
        with session_scope(engine) as session:
            outcomes = list(session.scalars(select(Attempt.outcome).where(Attempt.job_id == job_id)))
            assert not outcomes or outcomes[-1] == "cancelled"
            assert session.scalar(select(func.count()).where(Artifact.job_id == job_id)) == 0
        assert events(engine, job_id) == last
    assert finish(openai, create(openai)).status == "succeeded"  # the slot is free again
