"""Files in parts: in the right order, four at once, resumed after an interruption; files by path in a job."""

import asyncio
import hashlib
import json
import re
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tunesmith import APIConnectionError, APIStatusError, AsyncTunesmith, BadRequestError, Tunesmith
from tunesmith.errors import InternalServerError

from tests.sdk.conftest import Answer, Received, Script
from tests.sdk.test_cli import cli
from tests.sdk.test_transport import JOB, REFUSAL

CONTENT = b"".join(b"%06d\n" % number for number in range(1000))
PART = 1000  # bytes: 7 parts
FILE = {"created_at": 1, "filename": "rows.jsonl", "purpose": "fine-tune", "status": "uploaded"}


@dataclass
class Server:
    """Uploads as the contract has them. `fail`: the part to refuse, by its first bytes."""

    parts: dict[str, bytes] = field(default_factory=dict)
    fail: bytes | None = None
    gone: bool = False
    together: int = 0  # the most parts that were on their way at the same time
    meeting: threading.Barrier | None = None
    created: int = 0
    completed: list[dict[str, object]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def respond(self, request: Received) -> Answer:
        if request.path.endswith("/parts"):
            return self.part(request.body)
        if request.path.endswith("/complete"):
            self.completed.append(json.loads(request.body))
            return self.upload("completed")
        if request.path.endswith("/uploads"):
            self.created += 1
            self.gone = False
            return self.upload("pending")
        return Answer(body=JOB)

    def part(self, body: bytes) -> Answer:
        match = re.search(rb"\r\n\r\n(.*?)\r\n--", body, re.DOTALL)
        assert match is not None
        data = match[1]
        if self.gone or data[:6] == self.fail:
            return Answer(400 if self.gone else 500, REFUSAL, {"x-should-retry": "false"})
        if self.meeting is not None:
            self.meeting.wait(10)
        with self.lock:
            part_id = f"part_{len(self.parts)}"
            self.parts[part_id] = data
        return Answer(body={"id": part_id, "created_at": 1, "upload_id": "upload_1"})

    def upload(self, status: str) -> Answer:
        common = {"id": f"upload_{self.created}", "bytes": len(CONTENT), "created_at": 1}
        file = {**FILE, "id": "file-1", "bytes": len(CONTENT)} if status == "completed" else None
        expires = int(time.time()) + 3600
        return Answer(body={**FILE, **common, "expires_at": expires, "status": status, "file": file})

    def content(self) -> bytes:
        ids = self.completed[-1]["part_ids"]
        assert isinstance(ids, list)
        return b"".join(self.parts[part_id] for part_id in ids)


@pytest.fixture
def server(script: Script) -> Server:
    server = Server()
    script.respond = server.respond
    return server


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(CONTENT)
    return path


def test_four_parts_at_once_arrive_in_order(client: Tunesmith, server: Server, path: Path, home: Path) -> None:
    path.write_bytes(CONTENT + b"x" * PART)  # 8 parts: two rounds of four
    server.meeting = threading.Barrier(4)  # nobody passes alone
    told: list[tuple[int, int]] = []
    client.uploads.upload_file(path, part_size=PART, on_progress=lambda sent, total: told.append((sent, total)))
    assert server.content() == path.read_bytes()
    assert server.completed[-1]["md5"] == hashlib.md5(path.read_bytes()).hexdigest()
    assert told[-1] == (8000, 8000)
    assert not [file for file in (home / "cache").rglob("*") if file.is_file()]


def test_after_an_interruption_only_the_missing_parts_are_sent(
    client: Tunesmith, server: Server, path: Path, tmp_path: Path
) -> None:
    server.fail = CONTENT[5 * PART :][:6]
    with pytest.raises(InternalServerError):
        client.uploads.upload_file(path, part_size=PART)
    before, server.fail = set(server.parts), None
    assert 0 < len(before) < 7
    (tmp_path / "elsewhere").mkdir()
    moved = path.rename(tmp_path / "elsewhere" / path.name)  # it is known by its content and its name
    client.uploads.upload_file(moved, part_size=PART)
    assert (server.created, len(server.parts)) == (1, 7)
    assert server.content() == CONTENT


def test_under_another_name_it_is_another_file(client: Tunesmith, server: Server, path: Path, tmp_path: Path) -> None:
    server.fail = CONTENT[5 * PART :][:6]
    with pytest.raises(InternalServerError):
        client.uploads.upload_file(path, part_size=PART)
    server.fail = None
    client.uploads.upload_file(path.rename(tmp_path / "other.jsonl"), part_size=PART)
    assert server.created == 2


def test_an_upload_that_the_server_no_longer_takes_is_begun_anew(client: Tunesmith, server: Server, path: Path) -> None:
    server.fail = CONTENT[5 * PART :][:6]
    with pytest.raises(InternalServerError):
        client.uploads.upload_file(path, part_size=PART)
    server.fail, server.gone = None, True
    client.uploads.upload_file(path, part_size=PART)
    assert server.created == 2
    assert server.content() == CONTENT


def test_the_async_twin_does_the_same(client: Tunesmith, server: Server, path: Path) -> None:
    path.write_bytes(CONTENT + b"x" * PART)
    server.meeting = threading.Barrier(4)

    async def send() -> str:
        async with AsyncTunesmith(base_url=client.base_url, api_key="tsk-1") as twin:
            return (await twin.uploads.upload_file(path, part_size=PART)).id

    assert asyncio.run(send()) == "file-1"
    assert server.content() == path.read_bytes()


def test_a_job_uploads_the_file_at_a_path_once(script: Script, client: Tunesmith, path: Path) -> None:
    file = {**FILE, "id": "file-1", "bytes": len(CONTENT)}
    script.respond = lambda request: Answer(body=file if "/files" in request.path else JOB)
    for _ in range(2):
        client.fine_tuning.jobs.create(model="m", training_file=path, validation_file="file-7")
    made = [json.loads(request.body) for request in script.received if request.path.endswith("/jobs")]
    assert made == [{"model": "m", "training_file": "file-1", "validation_file": "file-7"}] * 2
    sent = [request.path for request in script.received if request.method == "POST" and "/files" in request.path]
    assert sent == ["/v1/files"]


@dataclass
class Files:
    """A server that takes files and answers every job with the status."""

    job_status: int
    made: int = 0
    deleted: list[str] = field(default_factory=list)

    def respond(self, request: Received) -> Answer:
        if request.path.endswith("/jobs"):
            return Answer(self.job_status, REFUSAL, {"x-should-retry": "false"})
        if request.method == "DELETE":
            self.deleted.append(request.path.rpartition("/")[2])
            return Answer(body={"id": self.deleted[-1], "deleted": True})
        self.made += request.method == "POST"
        return Answer(body={**FILE, "id": f"file-{self.made}", "bytes": len(CONTENT)})


@pytest.fixture
def other(tmp_path: Path) -> Path:
    path = tmp_path / "other.jsonl"
    path.write_bytes(b"other")
    return path


@pytest.mark.parametrize(("status", "deleted"), [(400, ["file-2"]), (404, ["file-2"]), (409, []), (503, [])])
def test_a_refused_job_leaves_no_file_that_it_has_sent(
    script: Script, client: Tunesmith, path: Path, other: Path, status: int, deleted: list[str]
) -> None:
    files = Files(status)
    script.respond = files.respond
    client.files.upload(path)
    with pytest.raises(APIStatusError) as caught:
        client.fine_tuning.jobs.create(model="m", training_file=path, validation_file=other)
    assert caught.value.status_code == status
    assert files.deleted == deleted
    assert files.made == 2


def test_a_file_that_cannot_be_read_leaves_none_of_the_other(
    script: Script, client: Tunesmith, path: Path, tmp_path: Path
) -> None:
    files = Files(400)
    script.respond = files.respond
    with pytest.raises(FileNotFoundError):
        client.fine_tuning.jobs.create(model="m", training_file=path, validation_file=tmp_path / "none")
    assert (files.made, files.deleted) == (1, ["file-1"])


def test_a_refused_job_of_the_async_twin_or_the_command_line_leaves_none(
    script: Script, client: Tunesmith, path: Path, other: Path
) -> None:
    files = Files(400)
    script.respond = files.respond

    async def create() -> None:
        async with AsyncTunesmith(base_url=client.base_url, api_key="tsk-1") as twin:
            with pytest.raises(BadRequestError):
                await twin.fine_tuning.jobs.create(model="m", training_file=path, validation_file=other)

    asyncio.run(create())
    assert files.deleted == ["file-1", "file-2"]
    assert cli(script, "jobs", "create", "--model", "m", "--training-file", str(path)).returncode == 6
    assert files.deleted == ["file-1", "file-2", "file-3"]


def test_an_answer_that_got_lost_keeps_the_file(script: Script, client: Tunesmith, path: Path) -> None:
    files = Files(400)

    def respond(request: Received) -> Answer:
        return Answer(body=b"", cut=True) if request.path.endswith("/jobs") else files.respond(request)

    script.respond = respond
    with pytest.raises(APIConnectionError):
        client.fine_tuning.jobs.create(model="m", training_file=path)
    assert (files.made, files.deleted) == (1, [])


def test_a_large_file_of_a_job_goes_in_parts(
    client: Tunesmith, server: Server, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunesmith._sync.resources.files.LARGEST_AT_ONCE", len(CONTENT) - 1)
    client.fine_tuning.jobs.create(model="m", training_file=path)
    assert server.content() == CONTENT


def test_a_refused_upload_is_an_error(client: Tunesmith, script: Script, path: Path) -> None:
    script.say(Answer(400, REFUSAL))
    with pytest.raises(BadRequestError):
        client.uploads.upload_file(path)
    with pytest.raises(ValueError, match="not positive"):
        client.uploads.upload_file(path, part_size=0)
