"""Endpoints of webhooks, as their owners manage them."""

import base64
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from core.db import session_scope
from core.jobs import service as jobs
from core.webhooks import claims
from core.webhooks.event_types import EVENT_TYPES
from core.webhooks.sending import Outcome
from core.webhooks.service import MOST_ENDPOINTS
from tests.conftest import ProjectKey
from tests.core.factories import make_job
from tests.receiver import Receiver
from tests.stack import eventually

BASE = "/v1/webhook_endpoints"
SUCCEEDED, _, CANCELLED = EVENT_TYPES
BODY: dict[str, Any] = {"name": "mine", "url": "https://a.example/hook", "event_types": [CANCELLED]}


def cancel_job(engine: Engine, project: ProjectKey) -> str:
    with session_scope(engine) as session:
        job = make_job(session, project.owner)
        return jobs.cancel(session, owner=project.owner, job_id=job.id).id


def test_a_secret_is_shown_when_it_is_made_and_never_again(http: httpx.Client) -> None:
    made = http.post(BASE, json=BODY).json()
    secret = made.pop("signing_secret")
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{32}", secret)
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 24
    assert made["signing_secret_hint"] == f"whsec_...{secret[-4:]}"
    assert (made["object"], made["status"], made["updated_at"]) == ("webhook_endpoint", "enabled", made["created_at"])
    assert {key: made[key] for key in BODY} == BODY
    url = f"{BASE}/{made['id']}"
    rotated = http.post(f"{url}/rotate_secret", json={"keep_old_secret_active_for_24_hours": True}).json()
    assert rotated["signing_secret"] != secret
    others = (http.get(BASE), http.get(url), http.post(url, json={"name": "n"}), http.get(f"{url}/deliveries"))
    for answer in others:
        assert answer.status_code == 200
        assert secret[6:] not in answer.text
        assert rotated["signing_secret"][6:] not in answer.text
        assert "signing_secret" not in answer.text.replace("signing_secret_hint", "")


def test_what_is_sent_twice_under_a_key_is_done_once(http: httpx.Client) -> None:
    first, again = (http.post(BASE, json=BODY, headers={"idempotency-key": "a"}) for _ in range(2))
    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert len(http.get(BASE).json()["data"]) == 1
    url = f"{BASE}/{first.json()['id']}/rotate_secret"
    first, again = (http.post(url, json={}, headers={"idempotency-key": "b"}) for _ in range(2))
    assert again.json()["signing_secret"] == first.json()["signing_secret"]


def test_changes_and_when_they_count(http: httpx.Client) -> None:
    made = http.post(BASE, json=BODY).json()
    url = f"{BASE}/{made['id']}"
    same = http.post(url, json={"name": "mine", "url": None, "event_types": [CANCELLED]}).json()
    assert same["updated_at"] == made["updated_at"]
    changed = http.post(url, json={"url": "https://b.example", "event_types": [SUCCEEDED, SUCCEEDED]}).json()
    assert (changed["name"], changed["url"], changed["event_types"]) == ("mine", "https://b.example", [SUCCEEDED])
    assert http.get(url).json() == changed

    def moved_on() -> bool:
        return http.post(f"{url}/rotate_secret").json()["updated_at"] > made["updated_at"]

    eventually(moved_on, seconds=5, what="a second")


@pytest.mark.parametrize(
    ("changed", "param", "words"),
    [
        ({"event_types": ["batch.completed"]}, "event_types.0", "'fine_tuning.job.succeeded'"),
        ({"event_types": []}, "event_types", "at least 1"),
        ({"url": "http://a.example"}, "url", "must begin with https://"),
        ({"url": "https://169.254.169.254/latest"}, "url", "is not a public address"),
        ({"url": "https://u:secret@a.example"}, "url", "must not hold a user"),
        ({"url": "https://a.example/" + "x" * 2048}, "url", "at most 2048"),
        ({"name": ""}, "name", "at least 1"),
        ({"secret": "x"}, "secret", "allowed here: event_types, name, url"),
    ],
)
def test_what_is_refused_at_creation_and_as_a_change(
    http: httpx.Client, changed: dict[str, Any], param: str, words: str
) -> None:
    made = http.post(BASE, json=BODY).json()
    for refused in (http.post(BASE, json=BODY | changed), http.post(f"{BASE}/{made['id']}", json=changed)):
        assert refused.status_code == 400
        assert refused.json()["error"]["param"] == param
        assert words in refused.json()["error"]["message"]
    assert [endpoint["url"] for endpoint in http.get(BASE).json()["data"]] == [BODY["url"]]


def test_operators_may_allow_private_targets(on_premises: httpx.Client) -> None:
    for url in ("http://10.0.0.1:8080/hook", "https://[::1]/hook"):
        assert on_premises.post(BASE, json=BODY | {"url": url}).json()["url"] == url
    assert on_premises.post(BASE, json=BODY | {"url": "ftp://a.example"}).status_code == 400


def test_a_project_sees_its_own(
    http: httpx.Client, make_project: Callable[[str], ProjectKey], operator_key: str, engine: Engine
) -> None:
    other = make_project("other")
    stranger = {"authorization": f"Bearer {other.key}"}
    made = http.post(BASE, json=BODY).json()
    url = f"{BASE}/{made['id']}"
    assert http.get(BASE, headers=stranger).json()["data"] == []
    for answer in (
        http.get(url, headers=stranger),
        http.post(url, json={"name": "theirs"}, headers=stranger),
        http.delete(url, headers=stranger),
        http.post(f"{url}/rotate_secret", json={}, headers=stranger),
        http.post(f"{url}/test", json={"event_type": CANCELLED}, headers=stranger),
        http.get(f"{url}/deliveries", headers=stranger),
    ):
        assert (answer.status_code, answer.json()["error"]["param"]) == (404, "webhook_endpoint_id")
    assert http.get(BASE, params={"after": made["id"]}, headers=stranger).status_code == 400
    cancel_job(engine, other)
    assert http.get(f"{url}/deliveries").json()["data"] == []
    operator = {"authorization": f"Bearer {operator_key}"}
    assert http.get(url, headers=operator).status_code == 200
    assert http.post(BASE, json=BODY, headers=operator).status_code == 403


def test_pages_and_deletion(http: httpx.Client, project: ProjectKey, engine: Engine) -> None:
    made = [http.post(BASE, json=BODY | {"name": str(i)}).json()["id"] for i in range(3)]
    first = http.get(BASE, params={"limit": 2}).json()
    rest = http.get(BASE, params={"limit": 2, "after": first["last_id"]}).json()
    assert [endpoint["id"] for endpoint in first["data"] + rest["data"]] == made[::-1]
    assert (first["has_more"], rest["has_more"]) == (True, False)
    cancel_job(engine, project)  # what waits goes with its endpoint
    gone = http.delete(f"{BASE}/{made[0]}").json()
    assert gone == {"id": made[0], "object": "webhook_endpoint.deleted", "deleted": True}
    assert http.delete(f"{BASE}/{made[0]}").status_code == 404
    assert len(http.get(BASE).json()["data"]) == 2


def test_there_is_a_limit(http: httpx.Client) -> None:
    for _ in range(MOST_ENDPOINTS):
        assert http.post(BASE, json=BODY).status_code == 200
    refused = http.post(BASE, json=BODY)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_state")


def test_deliveries_tell_where_they_stand(http: httpx.Client, project: ProjectKey, engine: Engine) -> None:
    url = f"{BASE}/{http.post(BASE, json=BODY).json()['id']}/deliveries"
    ids = [cancel_job(engine, project) for _ in range(3)]
    for outcome in (Outcome(status_code=200), Outcome(reason="no answer within 10 s")):
        with session_scope(engine) as session:
            claimed = claims.claim(session, lease=60)
            assert claimed is not None
            session.flush()
            claims.finish(session, token=claimed[0], lease=60, url=claimed[1].url, outcome=outcome)
    first = http.get(url, params={"limit": 2}).json()
    rest = http.get(url, params={"limit": 2, "after": first["last_id"]}).json()
    told = rest["data"] + first["data"][::-1]
    assert [delivery["job_id"] for delivery in told] == ids
    assert [(d["status"], d["tries"], d["status_code"], d["reason"]) for d in told] == [
        ("delivered", 1, 200, None),
        ("pending", 1, None, "no answer within 10 s"),
        ("pending", 0, None, None),
    ]
    assert [d["ended_at"] is not None for d in told] == [d["next_try_at"] is None for d in told] == [True, False, False]
    assert told[1]["next_try_at"] > told[1]["created_at"]


@pytest.mark.parametrize("status", [204, 500])
def test_a_test_tells_what_the_receiver_answers(on_premises: httpx.Client, receiver: Receiver, status: int) -> None:
    made = on_premises.post(BASE, json=BODY | {"url": receiver.url}).json()
    receiver.statuses = [status]
    answer = on_premises.post(f"{BASE}/{made['id']}/test", json={"event_type": SUCCEEDED}).json()
    assert answer == {
        "object": "webhook_endpoint.test",
        "webhook_endpoint_id": made["id"],
        "event_type": SUCCEEDED,
        "status_code": status,
        "success": True,
    }
    (call,) = receiver.calls
    assert (call.event["type"], call.event["data"]) == (SUCCEEDED, {"id": "ftjob-test"})
    assert call.headers["webhook-signature"].startswith("v1,")


def test_a_test_that_reaches_nobody(http: httpx.Client, on_premises: httpx.Client, receiver: Receiver) -> None:
    refused = on_premises.post(BASE, json=BODY | {"url": "http://127.0.0.1:1/"}).json()
    answer = on_premises.post(f"{BASE}/{refused['id']}/test", json={"event_type": CANCELLED})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "webhook_receiver_unreached")
    private = http.post(BASE, json=BODY | {"url": receiver.url.replace("http:", "https:")}).json()
    answer = http.post(f"{BASE}/{private['id']}/test", json={"event_type": CANCELLED})
    assert "localhost has an address that is not public" in answer.json()["error"]["message"]
    assert receiver.calls == []
    wrong = http.post(f"{BASE}/{private['id']}/test", json={"event_type": "response.completed"})
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "event_type")


def test_slow_receivers_take_few_threads_of_the_api(on_premises: httpx.Client, receiver: Receiver) -> None:
    made = on_premises.post(BASE, json=BODY | {"url": receiver.url}).json()
    receiver.hold.clear()

    def post() -> httpx.Response:
        return on_premises.post(f"{BASE}/{made['id']}/test", json={"event_type": CANCELLED})

    with ThreadPoolExecutor(4) as pool:
        held = [pool.submit(post) for _ in range(4)]
        eventually(lambda: len(receiver.calls) == 4, seconds=10, what="four tests on their way")
        busy = post()
        receiver.hold.set()
        assert [answer.result().status_code for answer in held] == [200] * 4
    assert (busy.status_code, busy.headers["retry-after"]) == (503, "2")
    assert post().status_code == 200


def test_the_event_types_are_told(http: httpx.Client) -> None:
    assert http.get("/v1/webhook_event_types").json() == {"object": "list", "data": list(EVENT_TYPES)}
