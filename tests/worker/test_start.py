"""Workers that start while a service is away, or can't start at all."""

import contextlib
import socket
import threading
from pathlib import Path

from sqlalchemy import Engine, make_url

from core.db import session_scope
from core.models import File
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
