"""Workers that start while a service is away, or can't start at all."""

import contextlib
import json
import socket
import threading
from pathlib import Path

from sqlalchemy import Engine, make_url, update

from core.db import session_scope
from core.files import claims as validations
from core.models import File, Worker
from core.settings import Settings
from embedded.ports import free_ports
from tests.conftest import ProjectKey
from tests.core.factories import make_file
from tests.stack import eventually
from tests.worker.conftest import Start


def status(engine: Engine, file_id: str) -> str:
    """`error` once a worker has looked: the file's bytes are in no store."""
    with session_scope(engine) as session:
        return session.get_one(File, file_id).status


def test_without_a_broker_it_polls(start: Start, engine: Engine, project: ProjectKey) -> None:
    with session_scope(engine) as session:
        file_id = make_file(session, project.owner, status="uploaded").id
    start("cpu", TUNESMITH_REDIS_URL=f"redis://127.0.0.1:{free_ports(1)[0]}/0", TUNESMITH_MAX_LOSSES="1")
    eventually(lambda: status(engine, file_id) == "error", seconds=30, what="a verdict")


def relay(server: socket.socket, target: tuple[str | None, int | None]) -> None:
    """Pass on the bytes of each connection, until the server is closed."""

    def copy(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError), sink:
            while data := source.recv(65536):
                sink.sendall(data)

    with contextlib.suppress(OSError):
        while True:
            near, far = server.accept()[0], socket.create_connection(target)
            for pair in ((near, far), (far, near)):
                threading.Thread(target=copy, args=pair, daemon=True).start()


def test_without_a_database_it_waits(
    start: Start, engine: Engine, settings: Settings, project: ProjectKey, tmp_path: Path
) -> None:
    with session_scope(engine) as session:
        file_id = make_file(session, project.owner, status="uploaded").id
    port = free_ports(1)[0]
    url = make_url(settings.database_url)
    away = url.set(port=port).render_as_string(hide_password=False)
    start("cpu", TUNESMITH_DATABASE_URL=away, TUNESMITH_MAX_LOSSES="1")
    log = tmp_path / "logs" / "worker.log"
    eventually(lambda: log.exists() and "trying again" in log.read_text(), seconds=30, what="it has tried")
    with socket.create_server(("127.0.0.1", port)) as server:
        threading.Thread(target=relay, args=(server, (url.host, url.port)), daemon=True).start()
        eventually(lambda: status(engine, file_id) == "error", seconds=30, what="a verdict")


def test_an_unknown_queue_ends_it(start: Start) -> None:
    child = start("typo")
    assert child.process is not None
    assert child.process.wait(30) == 1


def test_what_a_killed_worker_left_goes_once_its_lease_is_over(
    start: Start, engine: Engine, project: ProjectKey, tmp_path: Path
) -> None:
    """It may be back within the lease, when the folder still is that of a claim."""
    with session_scope(engine) as session:
        make_file(session, project.owner, status="uploaded")
        file = validations.claim(session, lease=3600)
        assert file is not None
        session.flush()
        session.refresh(file)
        folder = tmp_path / "validations" / str(file.token)
    folder.mkdir(parents=True)
    start("cpu", TUNESMITH_LEASE_SECONDS="1")
    eventually(lambda: reported(engine, "start@test"), seconds=30, what="a worker")
    assert folder.exists()
    with session_scope(engine) as session:
        session.execute(update(File).values(status="processed", token=None, lease_expires_at=None))
    eventually(lambda: not folder.exists(), seconds=10, what="the folder has gone")


def reported(engine: Engine, worker_id: str) -> bool:
    with session_scope(engine) as session:
        worker = session.get(Worker, worker_id)
        if worker is None:
            return False
        assert worker.host == socket.gethostname()
        assert worker.resident_bytes is not None
        assert worker.resident_bytes > 10_000_000  # Python and its imports alone
        return (worker.disk_free_bytes or 0) > 0


def test_every_line_of_log_is_an_object_where_that_is_asked_for(
    start: Start, engine: Engine, settings: Settings, project: ProjectKey, tmp_path: Path
) -> None:
    with session_scope(engine) as session:
        file_id = make_file(session, project.owner, status="uploaded").id
    worker = start("cpu", TUNESMITH_LOG_FORMAT="json", TUNESMITH_MAX_LOSSES="1")
    eventually(lambda: status(engine, file_id) == "error", seconds=30, what="a verdict")
    assert worker.process is not None
    worker.process.kill()
    worker.stop()
    text = (tmp_path / "logs" / "worker.log").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines), text
    (failed,) = [line for line in lines if line["message"] == "the validation failed"]
    assert (failed["file"], failed["worker"], failed["level"]) == (file_id, "start@test", "ERROR")
    assert isinstance(failed["attempt"], int)
    assert "NoSuchKey" in failed["exception"]
    secret = settings.s3_secret_access_key
    assert secret is not None
    assert secret.get_secret_value() not in text
