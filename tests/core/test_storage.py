"""The object store, real: whole or not there, and nothing believed that was not read back."""

import hashlib
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from botocore.exceptions import ClientError

from core.ids import new_id
from core.multipart import PART
from core.settings import Settings
from core.storage import Entry, IntegrityError, Storage, unavailable


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def read(storage: Storage, key: str) -> bytes:
    return b"".join(storage.stream(key))


@pytest.fixture
def prefix() -> str:
    return new_id("tests/") + "/"


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 2 * PART + 5])
def test_what_is_written_is_what_is_read(storage: Storage, prefix: str, size: int) -> None:
    content = os.urandom(size)
    with storage.writer(prefix + "a") as writer:
        for start in range(0, size, 3 * 1024 * 1024):
            writer.write(content[start : start + 3 * 1024 * 1024])
    assert (writer.bytes, writer.sha256) == (size, sha256(content))
    assert read(storage, prefix + "a") == content


@pytest.mark.parametrize("size", [10, PART + 10])
def test_a_broken_upload_leaves_no_object(storage: Storage, prefix: str, size: int) -> None:
    def upload() -> None:
        with storage.writer(prefix + "a") as writer:
            writer.write(bytes(size))
            raise RuntimeError("the client has gone")

    with pytest.raises(RuntimeError):
        upload()
    with pytest.raises(ClientError, match="NoSuchKey"):
        read(storage, prefix + "a")
    uploads = storage._client.list_multipart_uploads(Bucket=storage.bucket, Prefix=prefix)
    assert "Uploads" not in uploads


def test_a_folder_goes_up_and_comes_back_with_its_manifest_last(storage: Storage, prefix: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "inner").mkdir(parents=True)
    (source / "a.txt").write_bytes(b"a")
    (source / "inner" / "b c.txt").write_bytes(b"bc")
    (source / "link").symlink_to("/etc/passwd")
    entries = storage.put_folder(prefix, source)
    assert entries == [Entry("a.txt", 1, sha256(b"a")), Entry("inner/b c.txt", 2, sha256(b"bc"))]
    assert Entry.many(json.loads(read(storage, prefix + "manifest.json"))) == entries
    storage.get_folder(prefix, entries, tmp_path / "back")
    files = {p.relative_to(tmp_path / "back").as_posix(): p.read_bytes() for p in (tmp_path / "back").rglob("*.txt")}
    assert files == {"a.txt": b"a", "inner/b c.txt": b"bc"}


@pytest.mark.parametrize("stored", [b"right bytez", b"right", b"right bytes and more"])
def test_other_bytes_are_refused_and_not_kept(storage: Storage, prefix: str, tmp_path: Path, stored: bytes) -> None:
    with storage.writer(prefix + "a") as writer:
        writer.write(stored)
    entry = Entry("a", 11, sha256(b"right bytes"))
    with pytest.raises(IntegrityError):
        storage.verify(prefix + "a", entry)
    with pytest.raises(IntegrityError):
        storage.get_file(prefix + "a", tmp_path / "a", entry=entry)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../a", "/a", "b/../../a"])
def test_a_manifest_does_not_lead_out_of_its_folder(storage: Storage, tmp_path: Path, name: str) -> None:
    with pytest.raises(IntegrityError, match="out of its folder"):
        storage.get_folder("x/", [Entry(name, 1, "")], tmp_path / "folder")
    assert list(tmp_path.rglob("*")) == []


def test_a_base_model_below_a_prefix(storage: Storage, prefix: str, tmp_path: Path) -> None:
    for name in ("config.json", "inner/weights.bin"):
        with storage.writer(f"{prefix}model/{name}") as writer:
            writer.write(name.encode())
    with storage.writer(f"{prefix}model-of-another") as writer:
        writer.write(b"other")
    storage.get_prefix(storage.bucket, f"{prefix}model", tmp_path / "m")
    assert {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()} == {
        "m/config.json",
        "m/inner/weights.bin",
    }


class HostileStore(BaseHTTPRequestHandler):
    """Lists one key below `model/`, and serves a byte for any: SeaweedFS keeps no such names, other stores do."""

    name = ""

    def do_GET(self) -> None:
        listing = f"<ListBucketResult><Contents><Key>model/{self.name}</Key></Contents></ListBucketResult>"
        body = listing.encode() if "list-type=2" in self.path else b"x"
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


class DamagingStore(BaseHTTPRequestHandler):
    """Keeps what it is given, but for the last byte of manifests, and does not notice: SeaweedFS would not, either."""

    objects: dict[str, bytes]

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.objects[self.path] = body[:-1] + b"?" if self.path.endswith("manifest.json") else body
        self._answer(b"")

    def do_GET(self) -> None:
        self._answer(self.objects[self.path])

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_a_manifest_that_was_damaged_on_its_way_is_not_believed(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Store", (DamagingStore,), {"objects": {}})) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        damaging = Storage(settings.model_copy(update={"s3_endpoint_url": url}))
        with pytest.raises(IntegrityError, match=r"manifest\.json"):
            damaging.put_folder("folder/", tmp_path)
        damaging._client.close()
        server.shutdown()


@pytest.mark.parametrize("name", ["/escaped", "../escaped", "inner/../../escaped"])
def test_a_base_model_does_not_lead_out_of_its_folder(settings: Settings, tmp_path: Path, name: str) -> None:
    name = f"{tmp_path}/escaped" if name == "/escaped" else name
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Store", (HostileStore,), {"name": name})) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        hostile = Storage(settings.model_copy(update={"s3_endpoint_url": url}))
        with pytest.raises(IntegrityError, match="out of its folder"):
            hostile.get_prefix("bucket", "model", tmp_path / "m")
        hostile._client.close()
        server.shutdown()
    assert list(tmp_path.rglob("escaped")) == []


def test_a_link_works_without_a_key_until_it_is_changed(storage: Storage, prefix: str) -> None:
    with storage.writer(prefix + "a") as writer:
        writer.write(b"content")
    link = storage.presign(prefix + "a", filename='we"ird\r\nname.txt', seconds=60)
    answer = httpx.get(link)
    assert answer.content == b"content"
    assert answer.headers["content-disposition"] == 'attachment; filename="we_ird__name.txt"'
    assert httpx.get(link.replace("%2Fa?", "%2Fb?").replace("/a?", "/b?")).status_code == 403
    assert httpx.get(link.partition("?")[0]).status_code == 403


def test_its_absence_is_told_without_its_address() -> None:
    assert "127.0.0.1" not in str(unavailable(ConnectionError("http://127.0.0.1:1 refused")))
