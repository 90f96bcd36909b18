"""Webhooks as their receivers get them: signed, at the address that was checked, and not lost with a worker."""

import base64
import hashlib
import hmac
import json
import ssl
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select, update

from core.db import session_scope
from core.jobs import service as jobs
from core.models import WebhookDelivery
from core.settings import Settings
from core.webhooks import repository, sending, service
from core.webhooks.event_types import EVENT_TYPES
from tests.conftest import ProjectKey
from tests.core.factories import make_job
from tests.receiver import Call, Receiver, receiving
from tests.stack import eventually
from tests.worker.conftest import Start
from worker import delivery
from worker.context import Context
from worker.reconciler import Contact, give_back
from worker.slots import Slot

VENV = Path(sys.prefix)
CANCELLED = "fine_tuning.job.cancelled"
UNWRAP = """
import json, sys, openai
given = json.loads(sys.argv[1])
client = openai.OpenAI(api_key="tsk", webhook_secret=given["secret"])
event = client.webhooks.unwrap(given["body"], given["headers"])
try:
    client.webhooks.unwrap(given["body"].replace("cancelled", "succeeded"), given["headers"])
except openai.InvalidWebhookSignatureError:
    sys.stdout.write(json.dumps([openai.__version__, type(event).__name__, event.data.id, event.id, event.object]))
"""


@pytest.fixture
def context(context: Context) -> Context:
    """A worker that may deliver to this machine."""
    settings = context.settings.model_copy(update={"webhook_private_targets": True})
    return Context(**{**vars(context), "settings": settings})


def make_endpoint(engine: Engine, project: ProjectKey, url: str) -> tuple[str, str]:
    """(id, secret)"""
    with session_scope(engine) as session:
        made = service.create(
            session, owner=project.owner, name="mine", url=url, event_types=list(EVENT_TYPES), private=True
        )
        return made.id, made.signing_secret


def cancel_job(engine: Engine, project: ProjectKey) -> str:
    with session_scope(engine) as session:
        job = make_job(session, project.owner)
        return jobs.cancel(session, owner=project.owner, job_id=job.id).id


def the_delivery(engine: Engine) -> WebhookDelivery:
    with session_scope(engine) as session:
        return session.scalars(select(WebhookDelivery)).one()


def make_due(engine: Engine) -> None:
    with session_scope(engine) as session:
        session.execute(update(WebhookDelivery).values(deliver_at=func.now()))


def signatures(call: Call, *secrets: str) -> str:
    """By the text of the standard, and not by our code."""
    signed = f"{call.headers['webhook-id']}.{call.headers['webhook-timestamp']}.".encode() + call.body
    macs = [hmac.digest(base64.b64decode(secret.removeprefix("whsec_")), signed, hashlib.sha256) for secret in secrets]
    return " ".join(f"v1,{base64.b64encode(mac).decode()}" for mac in macs)


@pytest.mark.parametrize(("folder", "version"), [("openai-1", "1.109.1"), ("openai-2", "2.54.0"), (None, "3.54.0")])
def test_three_generations_of_clients_unwrap_it(
    context: Context, project: ProjectKey, receiver: Receiver, folder: str | None, version: str
) -> None:
    _, secret = make_endpoint(context.engine, project, receiver.url)
    job_id = cancel_job(context.engine, project)
    assert delivery.run_next(context, Slot())
    assert not delivery.run_next(context, Slot())
    (call,) = receiver.calls
    given = {"secret": secret, "body": call.body.decode(), "headers": call.headers}
    done = subprocess.run(
        [sys.executable, "-c", UNWRAP, json.dumps(given)],
        env={"PYTHONPATH": str(VENV / folder) if folder else ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    kind = "FineTuningJobCancelledWebhookEvent"
    assert json.loads(done.stdout) == [version, kind, job_id, call.headers["webhook-id"], "event"]


def test_what_is_sent(context: Context, project: ProjectKey, receiver: Receiver) -> None:
    _, secret = make_endpoint(context.engine, project, receiver.url)
    job_id = cancel_job(context.engine, project)
    assert delivery.run_next(context, Slot())
    (call,) = receiver.calls
    told = the_delivery(context.engine)
    assert call.path == "/hook?a=1"
    assert call.headers["host"] == f"localhost:{receiver.port}"
    assert call.headers["content-type"] == "application/json"
    assert call.headers["webhook-id"] == call.event["id"] == told.event_id
    assert abs(int(call.headers["webhook-timestamp"]) - time.time()) < 30
    assert call.headers["webhook-signature"] == signatures(call, secret)
    created_at = int(told.created_at.timestamp())
    assert call.event == {
        "id": told.event_id, "object": "event", "created_at": created_at, "type": CANCELLED, "data": {"id": job_id},
    }  # fmt: skip
    assert (told.status, told.tries, told.status_code, told.reason) == ("delivered", 1, 200, None)


def test_a_receiver_that_fails_twice_hears_the_same_event_again(
    context: Context, project: ProjectKey, receiver: Receiver
) -> None:
    receiver.statuses = [500, 429, 202]
    make_endpoint(context.engine, project, receiver.url)
    cancel_job(context.engine, project)
    for status in (500, 429, 202):
        make_due(context.engine)
        assert delivery.run_next(context, Slot())
        assert the_delivery(context.engine).status_code == status
        assert not delivery.run_next(context, Slot())
    assert the_delivery(context.engine).status == "delivered"
    assert len(receiver.calls) == 3
    assert len({(call.headers["webhook-id"], call.body) for call in receiver.calls}) == 1


def test_after_a_rotation_both_secrets_sign_for_a_day_where_the_old_one_is_kept(
    context: Context, project: ProjectKey, receiver: Receiver
) -> None:
    endpoint_id, first = make_endpoint(context.engine, project, receiver.url)

    def rotate(*, keep_old: bool) -> str:
        with session_scope(context.engine) as session:
            rotated = service.rotate_secret(session, owner=project.owner, endpoint_id=endpoint_id, keep_old=keep_old)
            return rotated.signing_secret

    def told() -> Call:
        cancel_job(context.engine, project)
        assert delivery.run_next(context, Slot())
        return receiver.calls[-1]

    second = rotate(keep_old=True)
    call = told()
    assert call.headers["webhook-signature"] == signatures(call, second, first)
    with session_scope(context.engine) as session:
        endpoint = repository.get(session, owner=project.owner, endpoint_id=endpoint_id)
        now = session.scalars(select(func.now())).one()
        assert endpoint.previous_secret_expires_at is not None
        assert 86_000 < (endpoint.previous_secret_expires_at - now).total_seconds() <= 86_400
        endpoint.previous_secret_expires_at = now
    call = told()
    assert call.headers["webhook-signature"] == signatures(call, second)
    third = rotate(keep_old=False)
    call = told()
    assert call.headers["webhook-signature"] == signatures(call, third)


def test_a_redirect_is_a_failed_try_and_is_not_followed(
    context: Context, project: ProjectKey, receiver: Receiver
) -> None:
    with receiving() as elsewhere:
        receiver.statuses, receiver.headers = [307], {"location": elsewhere.url}
        make_endpoint(context.engine, project, receiver.url)
        cancel_job(context.engine, project)
        assert delivery.run_next(context, Slot())
        assert elsewhere.calls == []
    told = the_delivery(context.engine)
    assert (told.status, told.status_code) == ("pending", 307)


def test_a_name_that_leads_to_a_private_address_is_refused_when_it_is_delivered_to(
    context: Context, project: ProjectKey, receiver: Receiver
) -> None:
    make_endpoint(context.engine, project, receiver.url.replace("http:", "https:"))
    cancel_job(context.engine, project)
    settings = context.settings.model_copy(update={"webhook_private_targets": False})
    assert delivery.run_next(Context(**{**vars(context), "settings": settings}), Slot())
    told = the_delivery(context.engine)
    assert (told.status_code, told.reason) == (None, "localhost has an address that is not public")
    assert receiver.calls == []


def test_no_proxy_is_asked(
    context: Context, project: ProjectKey, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving() as proxy:
        for name in ("http_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        make_endpoint(context.engine, project, receiver.url)
        cancel_job(context.engine, project)
        assert delivery.run_next(context, Slot())
        assert (len(receiver.calls), proxy.calls) == (1, [])


@pytest.mark.parametrize("trusted", [True, False])
def test_certificates_are_those_of_the_name_and_not_of_the_address(
    context: Context, project: ProjectKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: bool
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    made += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(made, capture_output=True, check=True)
    tls, names = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), list[Any]()
    tls.load_cert_chain(certificate, key)
    tls.sni_callback = lambda _, name, __: names.append(name)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with receiving(tls) as receiver:
        make_endpoint(context.engine, project, receiver.url.replace("http:", "https:"))
        cancel_job(context.engine, project)
        assert delivery.run_next(context, Slot())
        assert len(receiver.calls) == trusted
    assert names == ["localhost"]
    told = the_delivery(context.engine)
    assert told.status == ("delivered" if trusted else "pending")
    assert trusted or "certificate verify failed" in (told.reason or "")


def test_a_receiver_that_does_not_answer_keeps_nobody_waiting(
    context: Context, project: ProjectKey, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "SECONDS", 2.0)
    with receiving() as slow:
        slow.hold.clear()
        make_endpoint(context.engine, project, slow.url)
        for _ in range(3):
            cancel_job(context.engine, project)
        make_endpoint(context.engine, project, receiver.url)
        cancel_job(context.engine, project)
        with ThreadPoolExecutor() as pool:
            began = time.monotonic()
            tries = [pool.submit(delivery.run_next, context, Slot()) for _ in range(8)]
            eventually(lambda: receiver.calls, seconds=1.5, what="the event at the receiver that answers")
            assert sum(work.result() for work in tries) == 2
            assert time.monotonic() - began < 4
        assert len(slow.calls) == 1
    with session_scope(context.engine) as session:
        (reason,) = session.scalars(select(WebhookDelivery.reason).where(WebhookDelivery.reason.is_not(None)))
    assert reason == "no answer within 2 s"


def test_an_event_outlives_the_worker_that_was_telling_it(
    start: Start,
    engine: Engine,
    settings: Settings,
    project: ProjectKey,
    receiver: Receiver,
    tmp_path: Path,
) -> None:
    receiver.hold.clear()
    _, secret = make_endpoint(engine, project, receiver.url)
    env = {"TUNESMITH_WEBHOOK_PRIVATE_TARGETS": "true", "TUNESMITH_LEASE_SECONDS": "2"}
    worker = start("cpu", **env, TUNESMITH_POLL_SECONDS="60")  # the bell wakes it
    cancel_job(engine, project)
    eventually(lambda: receiver.calls, seconds=30, what="a first try")
    assert worker.process is not None
    worker.process.kill()
    worker.process.wait()
    receiver.hold.set()
    assert the_delivery(engine).status == "pending"

    start("cpu", **env)
    reconciled, contact = settings.model_copy(update={"lease_seconds": 2}), Contact(longest_gap=60)

    def delivered() -> bool:
        give_back(engine, reconciled, contact)
        return the_delivery(engine).status == "delivered"

    eventually(delivered, seconds=30, what="a second try")
    first, second = receiver.calls
    assert (first.headers["webhook-id"], first.body) == (second.headers["webhook-id"], second.body)
    assert the_delivery(engine).tries == 2
    log = (tmp_path / "logs" / "worker.log").read_text()
    assert " INFO " in log  # where a client of HTTP would name each URL
    assert "/hook" not in log
    assert secret not in log
