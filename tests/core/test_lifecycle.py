from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.jobs.lifecycle import IllegalTransition, transition
from core.jobs.states import ACTIVE, STATES, TERMINAL, TRANSITIONS
from core.models import Event, Job
from tests.conftest import ProjectKey
from tests.core.factories import make_job

PAIRS = [(before, after) for before in sorted(STATES) for after in sorted(STATES)]


def put_in_state(session: Session, job: Job, state: str) -> None:
    job.status = state
    if state in ACTIVE:
        job.token, job.lease_expires_at = 1, func.now() + timedelta(seconds=60)
    session.flush()


@pytest.mark.parametrize(("before", "after"), [p for p in PAIRS if p[1] in TRANSITIONS[p[0]]])
def test_legal_transition_writes_its_event_and_keeps_the_fence_with_the_state(
    session: Session, project: ProjectKey, before: str, after: str
) -> None:
    job = make_job(session, project.owner)
    put_in_state(session, job, before)
    if after in ACTIVE and job.token is None:  # a claim sets the fence together with the state
        job.token, job.lease_expires_at = 2, func.now() + timedelta(seconds=60)
    seq = job.event_seq

    transition(session, job, after, reason="why", message=f"became {after}")
    session.flush()
    session.refresh(job)

    assert (job.status, job.status_reason, job.event_seq) == (after, "why", seq + 1)
    assert (job.token is not None) == (job.lease_expires_at is not None) == (after in ACTIVE)
    assert (job.finished_at is not None) == (after in TERMINAL)
    assert session.get_one(Event, (job.id, seq + 1)).message == f"became {after}"


@pytest.mark.parametrize(("before", "after"), [p for p in PAIRS if p[1] not in TRANSITIONS[p[0]]])
def test_illegal_transition_is_refused_and_changes_nothing(
    session: Session, project: ProjectKey, before: str, after: str
) -> None:
    job = make_job(session, project.owner)
    put_in_state(session, job, before)
    events = session.scalar(select(func.count()).select_from(Event))

    with pytest.raises(IllegalTransition, match=f"is {before}, which cannot become {after}"):
        transition(session, job, after, reason=None, message="no")

    assert job.status == before
    assert session.scalar(select(func.count()).select_from(Event)) == events


def test_terminal_states_are_never_left() -> None:
    assert {"succeeded", "failed", "cancelled"} == TERMINAL
