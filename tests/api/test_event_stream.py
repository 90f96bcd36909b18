"""Server-sent events over real connections: nothing is missing, nothing comes twice."""

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine, func, make_url, text, update

from core.db import make_engine, session_scope
from core.jobs import claims, publishing, service
from core.models import ApiKey, Job
from core.settings import Settings
from core.specs.run import MessageEvent
from embedded.ports import free_ports
from embedded.process import Child
from embedded.services import Services
from tests.api.conftest import Served, serve
from tests.conftest import ProjectKey
from tests.core.factories import make_job
from tests.stack import eventually, responds


@dataclass
class Listener:
    """Follows a job's stream; after every `reconnect_after` events it hangs up and comes back with its cursor.

    urls: of the same stream at each replica, which it takes in turns.
    """

    urls: tuple[str, ...]
    key: str
    reconnect_after: int | None = None
    seen: list[int] = field(default_factory=list)
    end: dict[str, str] | None = None
    connections: int = 0

    def run(self) -> None:
        with httpx.Client(headers={"authorization": f"Bearer {self.key}"}, timeout=60) as client:
            while self.end is None:
                self._connect(client)

    def _connect(self, client: httpx.Client) -> None:
        headers = {"last-event-id": str(self.seen[-1] if self.seen else 0)}
        url = self.urls[self.connections % len(self.urls)]
        with client.stream("GET", url, params={"stream": "true"}, headers=headers) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            self.connections += 1
            for number, frame in enumerate(frames(answer.iter_lines()), start=1):
                if frame["event"] == "end":
                    self.end = json.loads(frame["data"])
                    break
                assert json.loads(frame["data"])["seq"] == int(frame["id"])
                self.seen.append(int(frame["id"]))
                if number == self.reconnect_after:
                    break


def frames(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    frame: dict[str, str] = {}
    for line in lines:
        if line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            frame[name] = value
        elif frame:
            yield frame
            frame = {}


@pytest.fixture
def job(engine: Engine, project: ProjectKey) -> Job:
    with session_scope(engine) as session:
        return make_job(session, project.owner)


def start(engine: Engine) -> int:
    with session_scope(engine) as session:
        claimed = claims.claim(session, worker_id="w", devices=0, lease=600)
        assert claimed is not None
        return claimed.token or 0


def write(engine: Engine, token: int, *, at: int, count: int) -> None:
    events = [MessageEvent(message=f"event {at + i}") for i in range(count)]
    with session_scope(engine) as session:
        publishing.record(session, token=token, lease=600, start=at, events=events)


@pytest.fixture
def replica(settings: Settings) -> Iterator[Served]:
    """A second server on the same database."""
    with serve(settings) as replica:
        yield replica


def events_url(served: Served, job: Job) -> str:
    return f"{served.url}/v1/fine_tuning/jobs/{job.id}/events"


def test_every_listener_gets_every_event_once_across_reconnects_and_replicas(
    served: Served, replica: Served, engine: Engine, project: ProjectKey, job: Job
) -> None:
    token, urls = start(engine), (events_url(served, job), events_url(replica, job))
    listeners = [
        Listener(urls[::turn], project.key, reconnect_after)
        for reconnect_after in (None, 20, 90)
        for turn in (1, -1)
        for _ in range(8)
    ]
    threads = [threading.Thread(target=listener.run, daemon=True) for listener in listeners]
    for thread in threads:
        thread.start()
    written = 0
    for count in (1, 3, 300, 1, 40, 5):  # more at once than a job keeps for those who keep up, too
        write(engine, token, at=written, count=count)
        written += count
        eventually(lambda: all(len(item.seen) >= 4 + written for item in listeners), seconds=60, what="the events")  # noqa: B023
    with session_scope(engine) as session:
        service.cancel(session, owner=project.owner, job_id=job.id)
    for thread in threads:
        thread.join(60)
    for listener in listeners:
        assert listener.seen == list(range(1, 4 + written + 2))
        assert listener.end == {"status": "cancelled"}
    assert max(listener.connections for listener in listeners) > 15
    for server in (served, replica):
        streams = server.app.state.event_streams
        eventually(lambda s=streams: not s._followed and s._task.done(), seconds=10, what="the end of all watching")
        assert not streams._keys


def test_a_stream_of_an_ended_job_is_all_of_it_and_an_end(
    served: Served, engine: Engine, project: ProjectKey, job: Job
) -> None:
    with session_scope(engine) as session:
        service.cancel(session, owner=project.owner, job_id=job.id)
    listener = Listener((events_url(served, job),), project.key)
    listener.run()
    assert (listener.seen, listener.end) == ([1, 2, 3, 4], {"status": "cancelled"})


@contextmanager
def listening(url: str, key: str) -> Iterator[Iterator[dict[str, str]]]:
    """One connection: the frames as they come."""
    headers = {"authorization": f"Bearer {key}"}
    with httpx.stream("GET", url, params={"stream": "true"}, headers=headers, timeout=60) as answer:
        assert answer.status_code == 200
        yield frames(answer.iter_lines())


def take(stream: Iterator[dict[str, str]], count: int) -> list[str]:
    return [next(stream)["id"] for _ in range(count)]


def test_a_stream_ends_with_its_key(served: Served, engine: Engine, project: ProjectKey, job: Job) -> None:
    with listening(events_url(served, job), project.key) as stream:
        assert take(stream, 3) == ["1", "2", "3"]
        with session_scope(engine) as session:
            session.execute(update(ApiKey).values(revoked_at=func.now()))
        assert list(stream) == []


def test_a_stream_outlives_an_outage_of_the_database(
    served: Served, settings: Settings, engine: Engine, project: ProjectKey, job: Job, caplog: pytest.LogCaptureFixture
) -> None:
    name = make_url(settings.database_url).database
    other = settings.model_copy(update={"database_url": f"{settings.database_url.rpartition('/')[0]}/template1"})
    admin = make_engine(other, isolation_level="AUTOCOMMIT")
    with listening(events_url(served, job), project.key) as stream, admin.connect() as connection:
        assert take(stream, 3) == ["1", "2", "3"]
        try:
            connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
            connection.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"), {"name": name}
            )
            eventually(lambda: "streams wait for the database" in caplog.text, seconds=20, what="a look that fails")
        finally:
            connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true"))
        with session_scope(engine) as session:
            service.cancel(session, owner=project.owner, job_id=job.id)
        assert [frame["event"] for frame in stream] == ["message", "end"]
    admin.dispose()


def test_a_server_that_is_asked_to_leave_does_not_wait_for_its_streams(
    services: Services, settings: Settings, engine: Engine, project: ProjectKey, job: Job, tmp_path: Path
) -> None:
    port = free_ports(1)[0]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "uvicorn", "api.main:app", "--port", str(port), "--no-access-log"]
    child = Child(name="api", command=command, logs=tmp_path, env={**os.environ, **services.env})
    child.ready = lambda: responds(f"{url}/healthz")
    child.start()
    try:
        child.wait_ready(60)
        with listening(f"{url}/v1/fine_tuning/jobs/{job.id}/events", project.key) as stream:
            assert take(stream, 3) == ["1", "2", "3"]
            assert child.process
            child.process.send_signal(signal.SIGTERM)
            assert list(stream) == []  # closed, and no `end`: the job goes on, and so can its listener elsewhere
            child.process.wait(10)
    finally:
        child.stop()


@pytest.mark.parametrize(
    ("params", "headers", "param"),
    [
        ({"limit": "5"}, {}, "limit"),
        ({"after": "ftevent-x"}, {}, "after"),
        ({}, {"last-event-id": "x"}, "Last-Event-ID"),
        ({}, {"last-event-id": "4"}, "Last-Event-ID"),  # the job has three
    ],
)
def test_what_a_stream_does_not_take(
    http: httpx.Client, job: Job, params: dict[str, str], headers: dict[str, str], param: str
) -> None:
    url = f"/v1/fine_tuning/jobs/{job.id}/events"
    answer = http.get(url, params={"stream": "true", **params}, headers=headers)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_nobody_listens_to_another_projects_job(
    http: httpx.Client, job: Job, make_project: Callable[[str], ProjectKey]
) -> None:
    other = {"authorization": f"Bearer {make_project('other').key}"}
    for path in ("events?stream=true", "metrics", "logs"):
        assert http.get(f"/v1/fine_tuning/jobs/{job.id}/{path}", headers=other).status_code == 404
