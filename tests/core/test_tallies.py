"""Counters and histograms in the database, and what makes them rise."""

import math
from datetime import timedelta

import pytest
from sqlalchemy import Engine, func, select, update
from sqlalchemy.orm import Session

from core.db import session_scope
from core.jobs import claims, publishing, service
from core.leases import Limits
from core.models import Job, Observation, Tally
from core.ops import repository, tallies
from core.specs.run import MessageEvent, MetricsEvent, RunError
from tests.conftest import ProjectKey
from tests.core.factories import make_job

LIMITS = Limits(lease=0, max_losses=9, max_faults=9)
STEP = MetricsEvent(step=1, total_steps=2, trained_tokens=5, message="Step 1/2", data={"train_loss": 1.0})
FAULT = RunError(code="out_of_memory", message="too much", retryable=True)


def claim(session: Session) -> int:
    job = claims.claim(session, worker_id="w", devices=0, lease=60)
    assert job is not None
    session.flush()
    return job.token or 0


def counters(session: Session) -> dict[tuple[str, str], float]:
    return tallies.totals(session).counters


def test_adding_up_changes_no_total_and_empties_the_table(engine: Engine) -> None:
    for _ in range(2):
        with session_scope(engine) as session:
            tallies.count(session, "attempts", label="lost", by=2)
            tallies.count(session, "attempts", label="fault")
            for seconds in (0.2, 7.0, 7.0, 10_000.0):
                tallies.time(session, "checkpoint_seconds", seconds=seconds)
        with session_scope(engine) as session:
            before = tallies.totals(session)
            tallies.fold(session)
            after = tallies.totals(session)
            assert (after.counters, after.buckets) == (before.counters, before.buckets)
            assert after.seconds == pytest.approx(before.seconds)
            assert session.scalar(select(func.count()).select_from(Observation)) == 0
    assert before.counters == {("attempts", "lost"): 4, ("attempts", "fault"): 2}
    assert before.buckets == {"checkpoint_seconds": {0.5: 2, 10.0: 4, math.inf: 2}}
    assert before.seconds["checkpoint_seconds"] == pytest.approx(2 * 10_014.2)
    with session_scope(engine) as session:
        assert session.scalar(select(func.count()).select_from(Tally)) == 5


def test_what_is_rolled_back_did_not_happen(engine: Engine) -> None:
    def undone() -> None:
        with session_scope(engine) as session:
            tallies.count(session, "attempts", label="lost")
            session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        undone()
    with session_scope(engine) as session:
        assert counters(session) == {}


def test_attempts_count_once_by_how_they_ended_and_why(session: Session, project: ProjectKey) -> None:
    job = make_job(session, project.owner)
    publishing.fail(session, token=claim(session), limits=Limits(60, 9, 9), error=FAULT)
    token = claim(session)
    service.cancel(session, owner=project.owner, job_id=job.id)
    claims.end_attempt(session, token=token, outcome="lost")  # it has ended
    assert counters(session) == {
        ("attempts", "fault"): 1,
        ("attempt_errors", "out_of_memory"): 1,
        ("attempts", "cancelled"): 1,
    }


def lose(session: Session, *, seconds_ago: float) -> None:
    expired = func.now() - timedelta(seconds=seconds_ago)
    session.execute(update(Job).where(Job.token.is_not(None)).values(lease_expires_at=expired))
    assert claims.reap(session, limits=LIMITS) == 1


def recoveries(session: Session) -> tuple[int, float]:
    totals = tallies.totals(session)
    return sum(totals.buckets.get("recovery_seconds", {}).values()), totals.seconds.get("recovery_seconds", 0.0)


def test_recovery_lasts_from_the_last_sign_of_life_to_the_next_step(session: Session, project: ProjectKey) -> None:
    make_job(session, project.owner)
    publishing.record(session, token=claim(session), lease=60, start=0, events=[STEP])
    lose(session, seconds_ago=40)
    assert counters(session)["lease_expiries", "jobs"] == 1
    claim(session)
    lose(session, seconds_ago=1)  # that one trained nothing: the job is still as interrupted as before
    token = claim(session)
    publishing.record(session, token=token, lease=60, start=0, events=[MessageEvent(message="loading")])
    assert recoveries(session) == (0, 0.0)
    for start in (1, 2):
        publishing.record(session, token=token, lease=60, start=start, events=[STEP])
    number, seconds = recoveries(session)
    assert number == 1
    assert 40 <= seconds < 50


def test_a_job_that_somebody_paused_does_not_recover(session: Session, project: ProjectKey) -> None:
    job = make_job(session, project.owner)
    claim(session)
    lose(session, seconds_ago=40)
    service.pause(session, owner=project.owner, job_id=job.id)
    service.resume(session, owner=project.owner, job_id=job.id)
    publishing.record(session, token=claim(session), lease=60, start=0, events=[STEP])
    assert recoveries(session) == (0, 0.0)


def test_the_lag_is_the_longest_of_those_who_run(session: Session, project: ProjectKey) -> None:
    assert repository.event_lag(session) == 0.0
    for lag in (3.0, 90.0):
        make_job(session, project.owner)
        token = claim(session)
        publishing.heartbeat(session, token=token, lease=60, cost=publishing.Cost(), event_lag=lag)
        session.flush()
    assert repository.event_lag(session) == 90.0
    publishing.fail(session, token=token, limits=LIMITS, error=FAULT)
    session.flush()
    assert repository.event_lag(session) == 3.0
