"""`Idempotency-Key`: a request that is sent again does nothing again."""

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import Engine, func, select, update

from core.db import lock, session_scope
from core.models import IdempotencyKey, Job
from core.retention import retire
from core.settings import Settings
from core.storage import Storage
from tests.api.conftest import Served
from tests.api.test_files import ROW, upload
from tests.api.test_uploads import announce
from tests.conftest import ProjectKey
from tests.core.factories import make_checkpoint
from tests.stack import eventually

KEY = {"idempotency-key": "one of a kind"}


def post_job(http: httpx.Client, **body: Any) -> httpx.Response:
    return http.post("/v1/fine_tuning/jobs", json={"model": "tiny-random-llama", **body}, headers=KEY)


def post_file(http: httpx.Client, *, content: bytes = ROW, purpose: str = "fine-tune") -> httpx.Response:
    # httpx draws a new boundary for each request, as a retrying client does.
    return http.post("/v1/files", data={"purpose": purpose}, files={"file": ("a.jsonl", content)}, headers=KEY)


def post_upload(http: httpx.Client, *, size: int = 1) -> httpx.Response:
    body = {"filename": "a.jsonl", "purpose": "fine-tune", "bytes": size, "mime_type": "text/jsonl"}
    return http.post("/v1/uploads", json=body, headers=KEY)


def post_part(http: httpx.Client, upload_id: str, content: bytes) -> httpx.Response:
    return http.post(f"/v1/uploads/{upload_id}/parts", files={"data": content}, headers=KEY)


def assert_once(post: Callable[..., httpx.Response], *, other: Callable[[], httpx.Response]) -> None:
    first, second = post(), post()
    assert (first.status_code, second.status_code) == (200, 200), first.text
    assert second.json() == first.json()
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    refused = other()
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "idempotency_key_reused")
    assert "x-should-retry" not in refused.headers


def test_a_job_is_made_once(http: httpx.Client, engine: Engine) -> None:
    file_id = upload(http).json()["id"]
    assert_once(lambda: post_job(http, training_file=file_id), other=lambda: post_job(http, training_file="file-x"))
    with session_scope(engine) as session:
        assert len(session.scalars(select(Job)).all()) == 1


def test_a_file_is_made_once(http: httpx.Client) -> None:
    assert_once(lambda: post_file(http), other=lambda: post_file(http, content=ROW * 2))
    assert post_file(http, purpose="evals").json()["error"]["code"] == "idempotency_key_reused"
    assert len(http.get("/v1/files").json()["data"]) == 1


def test_an_upload_is_made_once(http: httpx.Client) -> None:
    assert_once(lambda: post_upload(http), other=lambda: post_upload(http, size=2))


def test_a_part_is_made_once(http: httpx.Client) -> None:
    upload_id = announce(http, size=1)
    assert_once(lambda: post_part(http, upload_id, b"a"), other=lambda: post_part(http, upload_id, b"b"))


def test_an_upload_is_completed_once(http: httpx.Client) -> None:
    upload_id = announce(http, size=1)
    part = http.post(f"/v1/uploads/{upload_id}/parts", files={"data": b"a"}).json()["id"]

    def complete(**more: Any) -> httpx.Response:
        return http.post(f"/v1/uploads/{upload_id}/complete", json={"part_ids": [part], **more}, headers=KEY)

    assert_once(complete, other=lambda: complete(md5="0" * 32))
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: complete(), range(4)))
    (file,) = http.get("/v1/files").json()["data"]
    assert {answer.json()["file"]["id"] for answer in answers} == {file["id"]}


def test_permissions_are_granted_once(
    http: httpx.Client, engine: Engine, project: ProjectKey, make_project: Callable[[str], ProjectKey]
) -> None:
    with session_scope(engine) as session:
        name = make_checkpoint(session, project.owner)
    one, other = make_project("one").project_id, make_project("other").project_id

    def grant(project_id: str) -> httpx.Response:
        path = f"/v1/fine_tuning/checkpoints/{name}/permissions"
        return http.post(path, json={"project_ids": [project_id]}, headers=KEY)

    assert_once(lambda: grant(one), other=lambda: grant(other))


def test_many_at_once_make_one_file_and_get_one_answer(http: httpx.Client) -> None:
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: post_file(http), range(6)))
    (file,) = http.get("/v1/files").json()["data"]
    assert [answer.json() for answer in answers] == [file] * 6
    assert sum("idempotent-replayed" in answer.headers for answer in answers) == 5


def test_while_the_first_is_in_flight_the_second_is_told_to_come_again(
    http: httpx.Client, project: ProjectKey, engine: Engine
) -> None:
    file_id = upload(http).json()["id"]
    with session_scope(engine) as session:
        lock(session, f"idempotency:{project.project_id}:{KEY['idempotency-key']}")
        answer = post_job(http, training_file=file_id)
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "idempotency_key_in_flight")
        assert (answer.headers["x-should-retry"], answer.headers["retry-after"]) == ("true", "1")
    assert post_job(http, training_file=file_id).status_code == 200


def test_a_refused_request_keeps_no_key(http: httpx.Client) -> None:
    file_id = upload(http).json()["id"]
    assert post_job(http, training_file=file_id, seed=-1).status_code == 400
    assert post_job(http, training_file=file_id, seed=1).status_code == 200


def test_keys_are_the_projects_own(http: httpx.Client, make_project: Callable[[str], ProjectKey]) -> None:
    mine = post_file(http).json()["id"]
    http.headers["authorization"] = f"Bearer {make_project('other').key}"
    assert post_file(http).json()["id"] != mine


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", "\u00e4"])
def test_what_is_no_key_is_refused(http: httpx.Client, key: str) -> None:
    headers = {b"idempotency-key": key.encode("latin-1")}
    for path in ("/v1/uploads", "/v1/files"):
        body = {"filename": "a", "purpose": "fine-tune", "bytes": 1, "mime_type": "x"}
        form: Any = {"data": {"purpose": "fine-tune"}, "files": {"file": ("a", b"x")}}
        answer = http.post(path, headers=headers, **({"json": body} if path == "/v1/uploads" else form))
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "Idempotency-Key"), answer.text


def test_an_answer_that_nobody_heard_is_given_again(
    served: Served, http: httpx.Client, project: ProjectKey, engine: Engine
) -> None:
    """The connection dies with the answer unread, after the commit."""
    file_id = upload(http).json()["id"]
    body = f'{{"model": "tiny-random-llama", "training_file": "{file_id}"}}'.encode()
    head = (
        f"POST /v1/fine_tuning/jobs HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {project.key}\r\n"
        f"idempotency-key: {KEY['idempotency-key']}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    address = urlsplit(served.url)
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(head.encode() + body)
        made = eventually(lambda: http.get("/v1/fine_tuning/jobs").json()["data"], seconds=10, what="the job")
    answer = http.post("/v1/fine_tuning/jobs", content=body, headers=KEY)
    assert answer.headers["idempotent-replayed"] == "true"
    assert [job["id"] for job in made] == [answer.json()["id"]]
    assert len(http.get("/v1/fine_tuning/jobs").json()["data"]) == 1


def test_answers_are_kept_for_a_day(http: httpx.Client, engine: Engine, storage: Storage, settings: Settings) -> None:
    first = post_file(http).json()["id"]
    retire(engine, storage, settings)
    assert post_file(http).json()["id"] == first
    with session_scope(engine) as session:
        session.execute(update(IdempotencyKey).values(created_at=func.now() - timedelta(hours=25)))
    retire(engine, storage, settings)
    assert post_file(http).json()["id"] != first
