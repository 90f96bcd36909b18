"""What still works while a service refuses, or takes connections and never answers."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from core import queue
from core.db import session_scope
from core.settings import Settings, get_settings
from embedded.ports import free_ports
from tests.api.conftest import serve
from tests.conftest import ProjectKey
from tests.core.factories import make_file

THREADS = 40  # of the pool that serves everything that is not a coroutine
FORM: dict[str, Any] = {"data": {"purpose": "fine-tune"}, "files": {"file": ("a.jsonl", b"x")}}


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A service that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=2 * THREADS) as listener:
        listener.settimeout(30)
        yield listener


def address(listener: socket.socket) -> str:
    return f"127.0.0.1:{listener.getsockname()[1]}"


def client(url: str, key: str) -> httpx.Client:
    transport = httpx.HTTPTransport(retries=20, limits=httpx.Limits(max_connections=None))
    return httpx.Client(base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=30, transport=transport)


def is_open(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        while connection.recv(4096):
            pass
    except BlockingIOError:
        return True
    return False


def test_the_process_answers_while_every_thread_waits_for_the_store(
    settings: Settings, project: ProjectKey, silent: socket.socket
) -> None:
    away = settings.model_copy(update={"s3_endpoint_url": f"http://{address(silent)}"})
    with serve(away) as served, client(served.url, project.key) as http, ThreadPoolExecutor(THREADS) as pool:
        uploads = [pool.submit(http.post, "/v1/files", **FORM) for _ in range(THREADS)]
        waiting = [silent.accept()[0] for _ in uploads]
        try:
            assert httpx.get(f"{served.url}/healthz", timeout=10).json() == {"status": "ok"}
        finally:
            for connection in waiting:  # an answer that nobody repeats the request for
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
                connection.close()
        assert {upload.result().status_code for upload in uploads} == {503}


def test_jobs_are_created_while_the_store_is_silent(
    settings: Settings, project: ProjectKey, engine: Engine, silent: socket.socket
) -> None:
    """Whether their lengths are possible is then for the trainer to say; one request alone waits for the store."""
    with session_scope(engine) as session:
        file_id = make_file(session, project.owner).id
    method = {"type": "supervised", "supervised": {"max_length": 131_072}}
    job = {"model": "tiny-random-llama", "training_file": file_id, "method": method}
    away = settings.model_copy(update={"s3_endpoint_url": f"http://{address(silent)}"})
    with serve(away) as served, client(served.url, project.key) as http, ThreadPoolExecutor(1) as pool:
        first = pool.submit(http.post, "/v1/fine_tuning/jobs", json=job)
        with silent.accept()[0] as asking:
            assert http.post("/v1/fine_tuning/jobs", json=job).status_code == 200
            assert is_open(asking), "the answer has waited until the store was given up"
            asking.setblocking(True)
            asking.sendall(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
        assert first.result().status_code == 200


def test_nobody_waits_for_the_broker(
    http: httpx.Client, silent: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNESMITH_REDIS_URL", f"redis://{address(silent)}/0")
    producers = (get_settings, queue._producer)
    for cached in producers:
        cached.cache_clear()
    try:
        assert http.post("/v1/files", **FORM).status_code == 200
        with silent.accept()[0] as ringing:
            assert http.post("/v1/files", **FORM).status_code == 200
            assert is_open(ringing), "the answer has waited until the ring was given up"
    finally:
        monkeypatch.undo()
        for cached in producers:
            cached.cache_clear()


@pytest.mark.parametrize("service", ["database", "storage"])
def test_readiness_names_the_service_that_is_away(settings: Settings, service: str) -> None:
    broken: dict[str, Any] = {
        "database": {"database_url": f"postgresql+psycopg://tunesmith@127.0.0.1:{free_ports(1)[0]}/tunesmith"},
        "storage": {"s3_secret_access_key": SecretStr("wrong")},
    }
    with serve(settings.model_copy(update=broken[service])) as served, client(served.url, "none") as http:
        answer = http.get("/readyz")
        assert answer.status_code == 503
        checks = answer.json()["checks"]
    other = {"database": "storage", "storage": "database"}[service]
    assert (checks[service] != "ok", checks[other]) == (True, "ok")
