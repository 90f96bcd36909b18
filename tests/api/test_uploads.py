import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, func, select, update

from core.db import session_scope
from core.models import File, Upload, UploadPart
from core.retention import retire
from core.settings import Settings
from core.storage import STORE_ERRORS, Storage
from tests.conftest import ProjectKey

HALVES = (b"a" * 9_000_000, b"b" * 5)
WHOLE = b"".join(HALVES)


def announce(http: httpx.Client, size: int = len(WHOLE), **body: Any) -> str:
    spec = {"filename": "big.jsonl", "purpose": "user_data", "bytes": size, "mime_type": "text/jsonl", **body}
    answer = http.post("/v1/uploads", json=spec)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["status"], answer.json()["file"]) == ("pending", None)
    return answer.json()["id"]


def send(http: httpx.Client, upload_id: str, data: bytes, **headers: str) -> httpx.Response:
    return http.post(f"/v1/uploads/{upload_id}/parts", files={"data": data}, headers=headers)


def complete(http: httpx.Client, upload_id: str, parts: list[str], **body: Any) -> httpx.Response:
    return http.post(f"/v1/uploads/{upload_id}/complete", json={"part_ids": parts, **body})


@pytest.fixture
def upload_id(http: httpx.Client) -> str:
    return announce(http)


@pytest.fixture
def part_ids(http: httpx.Client, upload_id: str) -> list[str]:
    """Sent in the wrong order: completing names the right one."""
    return [send(http, upload_id, half).json()["id"] for half in HALVES[::-1]][::-1]


def test_parts_become_a_file_in_the_order_that_is_named(
    http: httpx.Client, upload_id: str, part_ids: list[str]
) -> None:
    done = complete(http, upload_id, part_ids, md5=hashlib.md5(WHOLE).hexdigest()).json()
    assert done["status"] == "completed"
    assert (done["file"]["bytes"], done["file"]["filename"]) == (len(WHOLE), "big.jsonl")
    assert done["file"]["sha256"] == hashlib.sha256(WHOLE).hexdigest()
    assert http.get(f"/v1/files/{done['file']['id']}/content").content == WHOLE
    assert complete(http, upload_id, part_ids).json() == done
    assert complete(http, upload_id, part_ids[::-1]).json()["error"]["param"] == "part_ids"
    assert complete(http, upload_id, part_ids, md5="0" * 32).json()["error"]["code"] == "upload_md5_mismatch"
    assert http.get(f"/v1/uploads/{upload_id}").json() == done
    assert send(http, upload_id, b"x").json()["error"]["code"] == "invalid_state"
    assert http.post(f"/v1/uploads/{upload_id}/cancel").status_code == 400


def test_an_operator_acts_for_the_project_whose_upload_it_is(
    http: httpx.Client, upload_id: str, operator_key: str
) -> None:
    mine = http.headers["authorization"]
    http.headers["authorization"] = f"Bearer {operator_key}"
    parts = [send(http, upload_id, half).json()["id"] for half in HALVES]
    file_id = complete(http, upload_id, parts).json()["file"]["id"]
    http.headers["authorization"] = mine
    assert [file["id"] for file in http.get("/v1/files").json()["data"]] == [file_id]


def test_completing_at_once_from_many_sides_makes_one_file(
    http: httpx.Client, upload_id: str, part_ids: list[str]
) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: complete(http, upload_id, part_ids).json(), range(4)))
    (file,) = http.get("/v1/files").json()["data"]
    assert {answer["file"]["id"] for answer in answers} == {file["id"]}


@pytest.mark.parametrize(
    ("choose", "body", "status", "param", "code"),
    [
        (lambda ids: ids[:1], {}, 400, "part_ids", "upload_size_mismatch"),
        (lambda ids: [ids[0], ids[0]], {}, 400, "part_ids", None),
        (lambda ids: [ids[0], "part_x"], {}, 404, "part_ids.1", "not_found"),
        (lambda ids: ids, {"md5": "0" * 32}, 400, "md5", "upload_md5_mismatch"),
        (lambda ids: ids, {"md5": "xyz"}, 400, "md5", "invalid_value"),
        (lambda ids: [], {}, 400, "part_ids", "invalid_value"),
        (lambda ids: ids * 6000, {}, 400, "part_ids", "invalid_value"),
        (lambda ids: ids, {"order": 1}, 400, "order", "unknown_parameter"),
    ],
)
def test_what_does_not_fit_leaves_the_upload_as_it_was(
    http: httpx.Client,
    upload_id: str,
    part_ids: list[str],
    choose: Callable[[list[str]], list[str]],
    body: dict[str, Any],
    status: int,
    param: str,
    code: str | None,
) -> None:
    answer = complete(http, upload_id, choose(part_ids), **body)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (status, param, code)
    assert http.get("/v1/files").json()["data"] == []
    assert complete(http, upload_id, part_ids).json()["status"] == "completed"


def test_a_part_of_another_upload_does_not_exist(http: httpx.Client, upload_id: str, part_ids: list[str]) -> None:
    other = announce(http)
    assert complete(http, other, part_ids).status_code == 404


def test_another_projects_upload_does_not_exist(
    http: httpx.Client, upload_id: str, part_ids: list[str], make_project: Callable[[str], ProjectKey]
) -> None:
    other = {"authorization": f"Bearer {make_project('other').key}"}
    assert send(http, upload_id, b"x", **other).status_code == 404
    body = {"part_ids": part_ids}
    assert http.post(f"/v1/uploads/{upload_id}/complete", json=body, headers=other).status_code == 404
    assert http.post(f"/v1/uploads/{upload_id}/cancel", headers=other).status_code == 404
    assert http.get(f"/v1/uploads/{upload_id}", headers=other).status_code == 404
    assert http.get(f"/v1/uploads/{upload_id}").json()["status"] == "pending"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"filename": "../x"}, "filename"),
        ({"filename": "x" * 256}, "filename"),
        ({"filename": "a\x00b"}, "filename"),
        ({"purpose": "fine-tune-results"}, "purpose"),
        ({"bytes": 0}, "bytes"),
        ({"bytes": 8 * 1024**3 + 1}, "bytes"),
        ({"mime_type": "x" * 256}, "mime_type"),
        ({"expires_after": {"anchor": "created_at", "seconds": 3599}}, "expires_after.seconds"),
        ({"expires_after": {"anchor": "last_active_at", "seconds": 3600}}, "expires_after.anchor"),
    ],
)
def test_bad_announcements_name_the_key(http: httpx.Client, body: dict[str, Any], param: str) -> None:
    spec = {"filename": "a.jsonl", "purpose": "fine-tune", "bytes": 1, "mime_type": "text/jsonl", **body}
    answer = http.post("/v1/uploads", json=spec)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param), answer.text


def test_bad_parts_are_refused_and_leave_nothing(http: httpx.Client, upload_id: str, engine: Engine) -> None:
    url = f"/v1/uploads/{upload_id}/parts"
    assert send(http, upload_id, b"").json()["error"]["param"] == "data"
    assert http.post(url, files={"file": b"x"}).json()["error"]["param"] == "data"
    assert http.post(url, files={"data": b"x"}, data={"more": "1"}).json()["error"]["param"] == "more"
    assert http.post(url, files=[("data", b"x"), ("data", b"y")]).status_code == 400
    assert http.post(url, files={f"f{i}": b"" for i in range(40)}).status_code == 413
    small = announce(http, size=3)
    assert send(http, small, b"123456").status_code == 200
    assert "twice" in send(http, small, b"1").json()["error"]["message"]
    with session_scope(engine) as session:
        assert [part.upload_id for part in session.scalars(select(UploadPart))] == [small]


def test_a_part_above_64_mb_is_refused(http: httpx.Client, upload_id: str) -> None:
    answer = send(http, upload_id, bytes(64 * 1024 * 1024 + 1))
    assert (answer.status_code, answer.json()["error"]["param"]) == (413, "data")


@pytest.mark.parametrize("ending", ["completed", "cancelled", "expired"])
def test_the_parts_of_what_has_ended_are_removed(
    http: httpx.Client,
    upload_id: str,
    part_ids: list[str],
    ending: str,
    engine: Engine,
    storage: Storage,
    settings: Settings,
) -> None:
    with session_scope(engine) as session:
        keys = [part.object_key for part in session.scalars(select(UploadPart))]
    retire(engine, storage, settings)
    assert all(storage.open(key).read(1) for key in keys)  # pending: they stay
    if ending == "completed":
        complete(http, upload_id, part_ids)
    elif ending == "cancelled":
        assert http.post(f"/v1/uploads/{upload_id}/cancel").json()["status"] == "cancelled"
        assert http.post(f"/v1/uploads/{upload_id}/cancel").json()["status"] == "cancelled"
    else:
        with session_scope(engine) as session:
            session.execute(update(Upload).values(expires_at=func.now() - timedelta(seconds=1)))
        assert complete(http, upload_id, part_ids).json()["error"]["code"] == "invalid_state"
    retire(engine, storage, settings)
    assert http.get(f"/v1/uploads/{upload_id}").json()["status"] == ending
    with session_scope(engine) as session:
        assert session.scalars(select(UploadPart)).all() == []
        objects = {file.object_key for file in session.scalars(select(File))}
    for key in keys:
        with pytest.raises(STORE_ERRORS):
            storage.open(key)
    assert all(storage.open(key).read(1) for key in objects)


def test_the_file_of_an_upload_expires_as_announced(http: httpx.Client) -> None:
    upload_id = announce(http, size=1, expires_after={"anchor": "created_at", "seconds": 7200})
    part_id = send(http, upload_id, b"x").json()["id"]
    file = complete(http, upload_id, [part_id]).json()["file"]
    assert file["expires_at"] == file["created_at"] + 7200
