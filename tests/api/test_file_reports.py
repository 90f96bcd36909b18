"""GET /v1/files/{id}/report, over files that a worker's code has validated."""

import gzip
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from core.db import session_scope
from core.files import report as report_service
from core.models import File
from core.settings import Settings
from core.storage import STORE_ERRORS, Storage
from tests.conftest import ProjectKey
from worker import validation
from worker.cache import Cache
from worker.context import Context
from worker.reconciler import purge_deleted_files
from worker.slots import Slot

ANSWER = {"role": "assistant", "content": "ho"}


def rows(*prompts: str) -> bytes:
    chats = [{"messages": [{"role": "user", "content": prompt}, ANSWER]} for prompt in prompts]
    return b"".join(json.dumps(chat).encode() + b"\n" for chat in chats)


def upload(http: httpx.Client, content: bytes, name: str = "rows.jsonl") -> str:
    return http.post("/v1/files", data={"purpose": "fine-tune"}, files={"file": (name, content)}).json()["id"]


def report(http: httpx.Client, file_id: str, **query: str) -> dict[str, Any]:
    answer = http.get(f"/v1/files/{file_id}/report", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture
def context(settings: Settings, engine: Engine, tmp_path: Path) -> Context:
    return Context(
        settings=settings,
        engine=engine,
        storage=Storage(settings),
        cache=Cache(tmp_path / "cache", max_bytes=1),
        runs=tmp_path / "runs",
        worker_id="cpu@test",
        draining=threading.Event(),
    )


@pytest.fixture
def validate(context: Context, http: httpx.Client) -> Callable[[], None]:
    """Validates whatever waits, as the `cpu` worker does."""

    def run() -> None:
        while validation.run_next(context, Slot()):
            pass

    return run


def test_a_report_says_what_validation_found(http: httpx.Client, validate: Callable[[], None]) -> None:
    content = gzip.compress(rows("a", "mail me: a@b.org", "a"))
    file_id = upload(http, content, "rows.jsonl.gz")
    validate()
    found = report(http, file_id)
    assert found["personal_data"].pop("email") == {"rows": 1, "first_lines": [2]}
    assert {kind["rows"] for kind in found.pop("personal_data").values()} == {0}
    file = http.get(f"/v1/files/{file_id}").json()
    assert (found.pop("sha256"), found["kind"]) == (file["sha256"], file["kind"])
    first, *_, last = found["characters"].pop("histogram")
    assert (first, last) == ({"min": 3, "max": 3, "rows": 2}, {"min": 17, "max": 18, "rows": 1})
    assert found == {
        "object": "file.report",
        "file_id": file_id,
        "status": "processed",
        "rows": 3,
        "bytes": len(content),
        "format": "jsonl.gz",
        "kind": "messages",
        "keys": None,
        "faults": [],
        "fault_count": 0,
        "characters": {"min": 3, "p50": 3, "p90": 18, "p99": 18, "max": 18, "mean": 8.0, "total": 24},
        "duplicates": {"exact": 1, "near": 0, "near_rows_compared": 0},
        "empty_answers": 0,
        "refused_answers": 0,
        "overlap": None,
    }


def test_faults_are_told_by_line_and_field(http: httpx.Client, validate: Callable[[], None]) -> None:
    file_id = upload(http, rows("a") + b'{"messages": [{"role": "bot", "content": "x"}]}\n' + b"{\n" * 30)
    validate()
    found = report(http, file_id)
    assert (found["status"], found["fault_count"], len(found["faults"])) == ("error", 31, 20)
    assert found["faults"][0]["line"] == 2
    assert found["faults"][0]["field"] == "messages[0].role"
    assert found["faults"][0]["message"].startswith("'bot' is not one of system, developer")
    details = http.get(f"/v1/files/{file_id}").json()["status_details"]
    assert details.startswith("line 2: messages[0].role: 'bot'")
    assert details.endswith("and 11 more")


def test_a_file_that_waits_has_a_report_of_nulls(http: httpx.Client) -> None:
    found = report(http, upload(http, rows("a")))
    assert found["status"] == "uploaded"
    assert [found[key] for key in ("rows", "format", "fault_count", "characters", "duplicates")] == [None] * 5


def test_overlap_with_a_validation_file(
    http: httpx.Client, make_project: Callable[[str], ProjectKey], validate: Callable[[], None]
) -> None:
    training, valid = upload(http, rows("a", "b", "c")), upload(http, rows("c", "d"))
    assert report(http, training, validation_file=valid)["overlap"] is None
    validate()
    overlap = report(http, training, validation_file=valid)["overlap"]
    assert (overlap["validation_file"], overlap["rows"], overlap["prompts"], overlap["exact"]) == (valid, 1, 1, True)
    other = {"authorization": f"Bearer {make_project('other').key}"}
    theirs = http.post(
        "/v1/files", headers=other, data={"purpose": "fine-tune"}, files={"file": ("a", rows("c"))}
    ).json()["id"]
    refused = http.get(f"/v1/files/{training}/report", params={"validation_file": theirs})
    assert (refused.status_code, refused.json()["error"]["param"]) == (404, "validation_file")
    assert http.get(f"/v1/files/{training}/report", headers=other).status_code == 404


def test_a_sketch_of_another_version_is_not_compared(
    http: httpx.Client, engine: Engine, validate: Callable[[], None]
) -> None:
    training, valid = upload(http, rows("a", "b")), upload(http, rows("b"))
    validate()
    with session_scope(engine) as session:
        file = session.get_one(File, training)
        assert file.report
        file.report = {**file.report, "sketch": {**file.report["sketch"], "version": 1}}
    assert report(http, training, validation_file=valid)["overlap"] is None


def test_validation_leaves_nothing_on_the_workers_disk(
    http: httpx.Client, context: Context, validate: Callable[[], None]
) -> None:
    upload(http, rows("a"))
    validate()
    folder = context.runs.parent / "validations"
    assert list(folder.iterdir()) == []
    (folder / "17").mkdir()
    validation.clean_up(context)
    assert list(folder.iterdir()) == []


def test_bytes_that_changed_in_the_store_are_not_validated(
    http: httpx.Client, context: Context, engine: Engine, validate: Callable[[], None]
) -> None:
    file_id = upload(http, rows("a"))
    with session_scope(engine) as session:
        key = session.get_one(File, file_id).object_key
    with context.storage.writer(key) as writer:
        writer.write(rows("b"))
    validate()
    assert http.get(f"/v1/files/{file_id}").json()["status"] == "uploaded"


def test_the_sketch_goes_with_the_file(
    http: httpx.Client, context: Context, engine: Engine, validate: Callable[[], None]
) -> None:
    file_id = upload(http, rows("a"))
    validate()
    with session_scope(engine) as session:
        stored = report_service.stored_sketch(session.get_one(File, file_id))
    assert stored
    assert context.storage.get_bytes(stored.key, entry=stored.entry)
    http.delete(f"/v1/files/{file_id}")
    purge_deleted_files(engine, context.storage)
    with pytest.raises(STORE_ERRORS):
        context.storage.get_bytes(stored.key, entry=stored.entry)
