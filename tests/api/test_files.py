import hashlib
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine, func, update

from core.db import session_scope
from core.jobs import claims, publishing
from core.models import File
from core.settings import Settings
from core.specs.run import RunResult
from core.storage import STORE_ERRORS, Storage
from tests.conftest import ProjectKey
from tests.core.factories import make_job
from worker.reconciler import tidy

ROW = b'{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"ho"}]}\n'


def upload(
    http: httpx.Client, content: bytes = ROW, name: str = "rows.jsonl", purpose: str = "fine-tune"
) -> httpx.Response:
    return http.post("/v1/files", data={"purpose": purpose}, files={"file": (name, content)})


def test_a_file_is_stored_listed_downloaded_and_deleted(http: httpx.Client) -> None:
    content = ROW * 200_000  # more than one part of a multipart upload
    made = upload(http, content).json()
    assert (made["bytes"], made["status"]) == (len(content), "uploaded")
    assert made["sha256"] == hashlib.sha256(content).hexdigest()
    assert http.get(f"/v1/files/{made['id']}/content").content == content
    assert [f["id"] for f in http.get("/v1/files").json()["data"]] == [made["id"]]
    assert http.delete(f"/v1/files/{made['id']}").json() == {"id": made["id"], "object": "file", "deleted": True}
    assert http.get(f"/v1/files/{made['id']}").status_code == 404
    assert http.get("/v1/files").json()["data"] == []


def test_pages_hold_every_file_once(http: httpx.Client) -> None:
    ids = [upload(http).json()["id"] for _ in range(5)]
    seen, after = [], None
    while True:
        page = http.get("/v1/files", params={"limit": 2, "order": "asc"} | ({"after": after} if after else {})).json()
        seen += [file["id"] for file in page["data"]]
        assert page["last_id"] == seen[-1]
        if not page["has_more"]:
            break
        after = page["last_id"]
    assert seen == ids


@pytest.mark.parametrize("name", ["a/b.jsonl", "../x", "..", "a\\b", "a\0b", "a\nb", "x" * 300])
def test_names_that_are_no_file_names_are_refused(http: httpx.Client, name: str) -> None:
    boundary = "b"
    quoted = name.replace('"', '\\"')
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{quoted}"\r\n\r\nx\r\n'
        f"--{boundary}--\r\n"
    ).encode()
    answer = http.post("/v1/files", content=body, headers={"content-type": f"multipart/form-data; boundary={boundary}"})
    assert answer.status_code == 400, answer.text
    assert http.get("/v1/files").json()["data"] == []


@pytest.mark.parametrize(
    ("fields", "param"),
    [({}, "purpose"), ({"purpose": "nonsense"}, "purpose"), ({"purpose": "fine-tune", "x": "1"}, "x")],
)
def test_bad_forms_name_the_field(http: httpx.Client, fields: dict[str, str], param: str) -> None:
    answer = http.post("/v1/files", data=fields, files={"file": ("a.jsonl", ROW)})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_endless_fields_headers_and_parts_are_refused(http: httpx.Client) -> None:
    for data in ({"purpose": "x" * 10_000}, {f"f{i}": "x" for i in range(50)}):
        assert http.post("/v1/files", data=data, files={"file": ("a", ROW)}).status_code == 413


@pytest.mark.parametrize(
    "form", [b"", b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nx\r\n--b--\r\n']
)
def test_blank_lines_without_end_around_the_form_are_refused(http: httpx.Client, form: bytes) -> None:
    headers = {"content-type": "multipart/form-data; boundary=b"}
    answer = http.post("/v1/files", content=form + b"\r\n" * 2**20, headers=headers)
    assert answer.status_code == 413, answer.text
    assert "besides its file" in answer.json()["error"]["message"]


def test_an_upload_that_ends_early_leaves_nothing(http: httpx.Client) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\nhalf a'
    answer = http.post("/v1/files", content=body, headers={"content-type": "multipart/form-data; boundary=b"})
    assert answer.status_code == 400
    assert http.get("/v1/files").json()["data"] == []


def test_another_projects_file_does_not_exist(http: httpx.Client, make_project: Callable[[str], ProjectKey]) -> None:
    file_id = upload(http).json()["id"]
    other = {"authorization": f"Bearer {make_project('other').key}"}
    for method, path in (("GET", ""), ("GET", "/content"), ("DELETE", "")):
        assert http.request(method, f"/v1/files/{file_id}{path}", headers=other).status_code == 404
    assert http.get("/v1/files", headers=other).json()["data"] == []
    assert http.get("/v1/files", headers=other, params={"after": file_id}).status_code == 400
    assert http.get(f"/v1/files/{file_id}").status_code == 200


def expiring(http: httpx.Client, seconds: str, anchor: str = "created_at") -> httpx.Response:
    fields = {"purpose": "fine-tune", "expires_after[anchor]": anchor, "expires_after[seconds]": seconds}
    return http.post("/v1/files", data=fields, files={"file": ("a.jsonl", ROW)})


def test_an_expired_file_is_gone_but_jobs_keep_its_bytes_until_they_end(
    http: httpx.Client, engine: Engine, storage: Storage, settings: Settings
) -> None:
    file = expiring(http, "3600").json()
    assert file["expires_at"] == file["created_at"] + 3600
    job = http.post("/v1/fine_tuning/jobs", json={"model": "tiny-random-llama", "training_file": file["id"]}).json()
    with session_scope(engine) as session:
        session.execute(update(File).values(expires_at=func.now()))
        key = session.get_one(File, file["id"]).object_key
    assert http.get(f"/v1/files/{file['id']}").status_code == 404
    assert http.get("/v1/files").json()["data"] == []
    again = http.post("/v1/fine_tuning/jobs", json={"model": "tiny-random-llama", "training_file": file["id"]})
    assert again.status_code == 404
    tidy(engine, storage, settings)
    assert storage.open(key).read() == ROW
    http.post(f"/v1/fine_tuning/jobs/{job['id']}/cancel")
    tidy(engine, storage, settings)
    with pytest.raises(STORE_ERRORS):
        storage.open(key)


def test_deleting_a_result_file_leaves_the_artifact_that_shares_its_object(
    http: httpx.Client, engine: Engine, storage: Storage, settings: Settings, project: ProjectKey, tmp_path: Path
) -> None:
    (tmp_path / "results.csv").write_text("step,train_loss\n")
    with session_scope(engine) as session:
        job_id = make_job(session, project.owner).id
        job = claims.claim(session, worker_id="w", devices=0, lease=60)
        assert job is not None
        folder = publishing.Folder(f"tests/{job.id}/", storage.put_folder(f"tests/{job.id}/", tmp_path))
        session.flush()
        result = RunResult(outcome="succeeded", step=1, trained_tokens=1)
        publishing.succeed(
            session, token=job.token or 0, lease=60, result=result, folder=folder, results_name="results.csv"
        )
    file_id = http.get(f"/v1/fine_tuning/jobs/{job_id}").json()["result_files"][0]
    assert http.delete(f"/v1/files/{file_id}").json()["deleted"]
    tidy(engine, storage, settings)
    (artifact,) = http.get(f"/v1/fine_tuning/jobs/{job_id}/artifacts").json()["data"]
    assert httpx.get(artifact["url"]).text == "step,train_loss\n"


@pytest.mark.parametrize(
    ("seconds", "anchor", "param"),
    [
        ("3599", "created_at", "expires_after.seconds"),
        ("2592001", "created_at", "expires_after.seconds"),
        ("soon", "created_at", "expires_after.seconds"),
        ("3600", "last_active_at", "expires_after.anchor"),
    ],
)
def test_bad_expiries_name_the_field(http: httpx.Client, seconds: str, anchor: str, param: str) -> None:
    answer = expiring(http, seconds, anchor)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
