"""What a slot does with jobs that cannot be run as they are; the runs themselves are tested over the whole stack."""

import threading
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from core.db import session_scope
from core.jobs import claims, service
from core.models import Attempt, Job
from core.settings import Settings
from core.storage import Entry, Storage
from tests.conftest import ProjectKey
from tests.core.factories import make_job
from worker import training
from worker.cache import Cache
from worker.context import Context
from worker.patience import Refused, patiently
from worker.reconciler import Contact
from worker.slots import Slot


@pytest.fixture
def context(settings: Settings, engine: Engine, storage: Storage, tmp_path: Path) -> Context:
    return Context(
        settings=settings,
        engine=engine,
        storage=storage,
        cache=Cache(tmp_path / "cache", max_bytes=2**30),
        runs=tmp_path / "runs",
        worker_id="train@test",
        draining=threading.Event(),
    )


def test_a_spec_that_this_worker_cannot_read_is_a_counted_fault(
    context: Context, engine: Engine, project: ProjectKey
) -> None:
    with session_scope(engine) as session:
        job = make_job(session, project.owner)
        job.spec = {**job.spec, "of_a_newer_version": 1}
    for _ in range(context.limits.max_faults):
        assert training.run_next(context, Slot())
    assert not training.run_next(context, Slot())
    with session_scope(engine) as session:
        row = session.get_one(Job, job.id)
        assert (row.status, row.losses, (row.error or {})["code"]) == ("failed", 0, "unreadable_spec")


def test_a_cancelled_attempt_has_ended(engine: Engine, project: ProjectKey) -> None:
    with session_scope(engine) as session:
        job = make_job(session, project.owner)
        claims.claim(session, worker_id="w", devices=0, lease=60)
        session.flush()
        service.cancel(session, owner=project.owner, job_id=job.id)
        session.flush()
        attempt = session.scalars(select(Attempt)).one()
        session.refresh(attempt)
        assert attempt.outcome == "cancelled"
        assert attempt.ended_at is not None


def test_what_the_store_refuses_is_not_asked_for_again(context: Context, storage: Storage, tmp_path: Path) -> None:
    missing = Entry("x", 1, "0" * 64)
    with pytest.raises(Refused, match="inputs: .*NoSuchKey"):
        patiently(
            lambda: storage.get_file("tests/none", tmp_path / "x", entry=missing), what="inputs", stop=threading.Event()
        )


def test_contact_begins_anew_after_a_failure_and_after_a_gap() -> None:
    contact = Contact(gap=1000)
    first = contact.seconds()
    assert contact.seconds() > first > 0
    long = contact.seconds()
    contact.lost()
    assert contact.seconds() < long
    assert Contact(gap=-1).seconds() == 0.0  # every pass comes after a gap
