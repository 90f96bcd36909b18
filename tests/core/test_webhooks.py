"""Who is told of what, and when: deliveries are claimed once, fenced, tried again and given up."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import Engine, func, select, text, update
from sqlalchemy.orm import Session

from core.db import session_scope
from core.jobs import service as jobs
from core.jobs.lifecycle import transition
from core.leases import Limits, Replaced
from core.models import Job, WebhookDelivery, WebhookEndpoint
from core.webhooks import claims, repository, service
from core.webhooks.event_types import EVENT_TYPES, EventType
from core.webhooks.message import Message
from core.webhooks.sending import Outcome
from tests.conftest import ProjectKey
from tests.core.factories import make_job
from tests.stack import eventually

URL = "https://a.example/hook"
LIMITS = Limits(lease=0, max_losses=2, max_faults=9)
OK, BROKEN = Outcome(status_code=204), Outcome(status_code=503)


def make_endpoint(
    session: Session,
    project: ProjectKey,
    *,
    url: str = URL,
    types: tuple[EventType, ...] = EVENT_TYPES,
) -> WebhookEndpoint:
    return service.create(session, owner=project.owner, name="mine", url=url, event_types=list(types), private=False)


def finish(session: Session, *, token: int, outcome: Outcome, url: str = URL) -> None:
    claims.finish(session, token=token, lease=60, url=url, outcome=outcome)


def end_job(session: Session, project: ProjectKey, *, status: str = "cancelled") -> Job:
    job = make_job(session, project.owner)
    if status == "succeeded":
        job.status, job.token, job.lease_expires_at = "running", 1, func.now()
        session.flush()
    transition(session, job, status, reason="r", message="m")
    return job


def claim(session: Session) -> tuple[int, Message]:
    claimed = claims.claim(session, lease=60)
    assert claimed is not None
    session.flush()
    return claimed


def deliveries(session: Session) -> list[WebhookDelivery]:
    session.flush()
    statement = select(WebhookDelivery).order_by(WebhookDelivery.event_id).execution_options(populate_existing=True)
    return list(session.scalars(statement))


def make_due(session: Session) -> None:
    session.execute(update(WebhookDelivery).values(deliver_at=func.now()))


def expire(session: Session) -> None:
    session.execute(update(WebhookDelivery).values(lease_expires_at=func.now() - timedelta(seconds=1)))


@pytest.mark.parametrize("status", ["succeeded", "failed", "cancelled"])
def test_the_end_of_a_job_is_told_to_whoever_wants_it_and_to_nobody_else(
    session: Session, project: ProjectKey, make_project: Callable[[str], ProjectKey], status: str
) -> None:
    wanted = f"fine_tuning.job.{status}"
    others = tuple(type for type in EVENT_TYPES if type != wanted)
    first, second = make_endpoint(session, project), make_endpoint(session, project, types=(wanted,))  # pyright: ignore[reportArgumentType]
    make_endpoint(session, project, types=others)
    make_endpoint(session, make_project("other"))
    make_endpoint(session, project).disabled_at = func.now()
    job = end_job(session, project, status=status)
    told = deliveries(session)
    assert {delivery.endpoint_id for delivery in told} == {first.id, second.id}
    assert {(delivery.event_type, delivery.job_id) for delivery in told} == {(wanted, job.id)}
    assert len({delivery.event_id for delivery in told}) == 1
    assert {delivery.created_at for delivery in told} == {job.finished_at}


def test_an_end_that_is_rolled_back_is_told_to_nobody(engine: Engine, project: ProjectKey) -> None:
    with session_scope(engine) as session:
        make_endpoint(session, project)
        job_id = make_job(session, project.owner).id
    with session_scope(engine) as session:
        jobs.cancel(session, owner=project.owner, job_id=job_id)
        assert len(deliveries(session)) == 1
        session.rollback()
    with session_scope(engine) as session:
        assert deliveries(session) == []


def test_an_endpoint_has_one_try_at_a_time_and_endpoints_take_turns(session: Session, project: ProjectKey) -> None:
    dead = make_endpoint(session, project, url="https://dead.example")
    for _ in range(3):
        end_job(session, project)
    make_endpoint(session, project, url="https://alive.example")
    for _ in range(2):
        end_job(session, project)
    tokens = {}
    for _ in range(2):
        token, message = claim(session)
        tokens[message.url] = token
    assert set(tokens) == {"https://dead.example", "https://alive.example"}
    assert claims.claim(session, lease=60) is None
    finish(session, token=tokens["https://dead.example"], outcome=BROKEN)
    assert claim(session)[1].url == "https://dead.example"
    finish(session, token=tokens["https://alive.example"], outcome=OK)
    assert claim(session)[1].url == "https://alive.example"
    assert [d.tries for d in deliveries(session) if d.endpoint_id == dead.id] == [1, 1, 0, 0, 0]


def test_the_longest_waiting_endpoint_comes_first(session: Session, project: ProjectKey) -> None:
    urls = [f"https://{name}.example" for name in "ab"]
    for url, ago in zip(urls, (10, 20), strict=True):
        make_endpoint(session, project, url=url).last_tried_at = func.now() - timedelta(seconds=ago)
    end_job(session, project)
    assert [claim(session)[1].url for _ in urls] == urls[::-1]


def test_failed_tries_pause_longer_and_longer_and_end_after_three_days(session: Session, project: ProjectKey) -> None:
    make_endpoint(session, project)
    end_job(session, project)
    ids = set()
    for pause in (*claims.PAUSES, None):
        token, message = claim(session)
        ids.add(message.id)
        finish(session, token=token, outcome=BROKEN)
        (delivery,) = deliveries(session)
        assert (delivery.token, delivery.status_code, delivery.reason) == (None, 503, None)
        assert claims.claim(session, lease=60) is None
        if pause is not None:
            waits = (delivery.deliver_at - session.scalars(select(func.now())).one()).total_seconds()
            assert pause * 0.8 <= waits <= pause * 1.2
            make_due(session)
    assert (delivery.status, delivery.tries) == ("failed", len(claims.PAUSES) + 1)
    assert delivery.ended_at is not None
    assert len(ids) == 1
    assert 2.5 < sum(claims.PAUSES) / 86400 < 3.5


def test_a_lost_try_is_given_back_at_once_and_a_stale_one_writes_nothing(session: Session, project: ProjectKey) -> None:
    make_endpoint(session, project)
    end_job(session, project)
    stale, first = claim(session)
    assert claims.reap(session, limits=LIMITS) == 0
    expire(session)
    assert claims.reap(session, limits=LIMITS) == 1
    assert deliveries(session)[0].reason == "the worker was lost"
    current, again = claim(session)
    assert (current > stale, again.id, again.body()) == (True, first.id, first.body())
    for write in (
        lambda: claims.heartbeat(session, token=stale, lease=60),
        lambda: finish(session, token=stale, outcome=OK),
        lambda: finish(session, token=stale, outcome=Outcome(status_code=410)),
    ):
        with pytest.raises(Replaced):
            write()
    finish(session, token=current, outcome=OK)
    (delivery,) = deliveries(session)
    assert (delivery.status, delivery.tries, delivery.status_code) == ("delivered", 2, 204)


def test_tries_that_kill_their_workers_come_to_an_end(session: Session, project: ProjectKey) -> None:
    make_endpoint(session, project)
    end_job(session, project)
    for _ in range(len(claims.PAUSES) + 1):
        claim(session)
        expire(session)
        assert claims.reap(session, limits=LIMITS) == 1
        session.flush()
    assert claims.claim(session, lease=60) is None
    assert deliveries(session)[0].status == "failed"


def test_gone_disables_the_endpoint_and_a_url_enables_it(session: Session, project: ProjectKey) -> None:
    endpoint = make_endpoint(session, project)
    for _ in range(2):
        end_job(session, project)
    finish(session, token=claim(session)[0], outcome=Outcome(status_code=410))
    told = deliveries(session)
    assert [(d.status, d.status_code, d.ended_at is not None) for d in told] == [
        ("failed", 410, True),
        ("failed", None, True),
    ]
    end_job(session, project)
    assert len(deliveries(session)) == 2
    service.change(
        session,
        owner=project.owner,
        endpoint_id=endpoint.id,
        name=None,
        url=endpoint.url,
        event_types=None,
        private=False,
    )
    end_job(session, project)
    assert [d.status for d in deliveries(session)] == ["failed", "failed", "pending"]


def test_gone_from_a_url_that_is_the_endpoints_no_more_disables_nothing(session: Session, project: ProjectKey) -> None:
    endpoint = make_endpoint(session, project)
    end_job(session, project)
    token, message = claim(session)
    endpoint.url = "https://moved.example"
    session.flush()
    finish(session, token=token, url=message.url, outcome=Outcome(status_code=410))
    assert endpoint.disabled_at is None
    assert [(d.status, d.tries) for d in deliveries(session)] == [("pending", 1)]


def test_an_endpoint_that_is_deleted_while_it_is_told(session: Session, project: ProjectKey) -> None:
    endpoint = make_endpoint(session, project)
    end_job(session, project)
    token, _ = claim(session)
    service.delete(session, owner=project.owner, endpoint_id=endpoint.id)
    with pytest.raises(Replaced):
        finish(session, token=token, outcome=OK)
    assert deliveries(session) == []


def test_what_ended_a_week_ago_is_forgotten(session: Session, project: ProjectKey) -> None:
    make_endpoint(session, project)
    for _ in range(3):
        end_job(session, project)
    for days, outcome in ((8, OK), (6, OK)):
        finish(session, token=claim(session)[0], outcome=outcome)
        deliveries(session)
        ended = WebhookDelivery.status == "delivered", WebhookDelivery.ended_at == func.now()
        session.execute(update(WebhookDelivery).where(*ended).values(ended_at=func.now() - timedelta(days=days)))
    repository.delete_ended(session, seconds=7 * 24 * 3600)
    assert [d.status for d in deliveries(session)] == ["delivered", "pending"]


def someone_waits(engine: Engine) -> bool:
    """Whether a transaction waits for another one's lock."""
    with engine.connect() as connection:
        waiting = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        return connection.execute(waiting).scalar_one() > 0


@pytest.mark.parametrize("first", ["the end", "the deletion"])
def test_a_job_that_ends_while_an_endpoint_is_deleted(engine: Engine, project: ProjectKey, first: str) -> None:
    with session_scope(engine) as session:
        endpoint_id = make_endpoint(session, project).id
        job_id = make_job(session, project.owner).id

    def end(session: Session) -> None:
        jobs.cancel(session, owner=project.owner, job_id=job_id)
        session.flush()

    def delete(session: Session) -> None:
        service.delete(session, owner=project.owner, endpoint_id=endpoint_id)
        session.flush()

    def in_its_own(work: Callable[[Session], None]) -> None:
        with session_scope(engine) as session:
            work(session)

    one, other = (end, delete) if first == "the end" else (delete, end)
    with ThreadPoolExecutor(1) as pool:
        with session_scope(engine) as session:
            one(session)
            waits = pool.submit(in_its_own, other)
            eventually(lambda: someone_waits(engine), seconds=10, what="the second waits for the first")
        waits.result(10)
    with session_scope(engine) as session:
        assert deliveries(session) == []
        assert session.get_one(Job, job_id).status == "cancelled"


def test_claims_at_the_same_moment_keep_an_endpoint_to_one_try(engine: Engine, project: ProjectKey) -> None:
    with session_scope(engine) as session:
        make_endpoint(session, project)
        for _ in range(4):
            end_job(session, project)
    together = threading.Barrier(4)

    def take() -> bool:
        together.wait(10)
        with session_scope(engine) as session:
            return claims.claim(session, lease=60) is not None

    with ThreadPoolExecutor(4) as pool:
        assert sum(future.result() for future in [pool.submit(take) for _ in range(4)]) == 1
