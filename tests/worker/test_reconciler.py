"""Expired leases say something only after a lease of contact with the database."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, func, update

from core.db import session_scope
from core.jobs import claims
from core.models import File, Job
from core.settings import Settings
from tests.conftest import ProjectKey
from tests.core.factories import make_job
from worker.reconciler import Contact, give_back

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_contact_counts_from_the_last_break() -> None:
    contact = Contact(longest_gap=10)
    assert [contact.made(at(seconds)) for seconds in (0, 10, 20)] == [0, 10, 20]
    assert [contact.made(at(seconds)) for seconds in (31, 40)] == [0, 9]  # the process, or all of it, stood still
    contact.lost()
    assert [contact.made(at(seconds)) for seconds in (41, 45)] == [0, 4]


def test_jobs_whose_file_was_read_while_nobody_told_them_go_on(
    engine: Engine, settings: Settings, project: ProjectKey
) -> None:
    with session_scope(engine) as session:
        job = make_job(session, project.owner, file_status="uploaded")
        assert job.status == "validating_files"
        session.get_one(File, job.training_file_id).status = "processed"
        job_id = job.id
    give_back(engine, settings, Contact(longest_gap=60))
    with session_scope(engine) as session:
        assert session.get_one(Job, job_id).status == "queued"


@pytest.mark.parametrize("broken", [True, False])
def test_nobody_is_reaped_until_a_lease_after_a_break(
    engine: Engine, settings: Settings, project: ProjectKey, broken: bool
) -> None:
    settings = settings.model_copy(update={"lease_seconds": 0.5})
    with session_scope(engine) as session:
        job_id = make_job(session, project.owner).id
        assert claims.claim(session, worker_id="w", devices=0, lease=60) is not None
        session.execute(update(Job).values(lease_expires_at=func.now() - timedelta(seconds=1)))
        began = session.scalars(func.now().select()).one() - timedelta(seconds=20)
    contact = Contact(longest_gap=60)
    contact.made(began)
    if broken:
        contact.lost()
    give_back(engine, settings, contact)
    with session_scope(engine) as session:
        assert session.get_one(Job, job_id).status == ("running" if broken else "queued")
