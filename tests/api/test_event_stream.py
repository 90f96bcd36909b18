"""Server-sent events over real connections: nothing is missing, nothing comes twice."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import httpx
import pytest
from sqlalchemy import Engine

from core.db import session_scope
from core.jobs import claims, publishing, service
from core.models import Job
from core.specs.run import MessageEvent
from tests.api.conftest import Served
from tests.conftest import ProjectKey
from tests.core.factories import make_job
from tests.stack import eventually


@dataclass
class Listener:
    """Follows a job's stream; after every `reconnect_after` events it hangs up and comes back with its cursor."""

    url: str
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
        with client.stream("GET", self.url, params={"stream": "true"}, headers=headers) as answer:
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


def test_every_listener_gets_every_event_once_across_reconnects(
    served: Served, engine: Engine, project: ProjectKey, job: Job
) -> None:
    token, url = start(engine), f"{served.url}/v1/fine_tuning/jobs/{job.id}/events"
    listeners = [Listener(url, project.key, reconnect_after) for reconnect_after in (None, 7, 50) for _ in range(5)]
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
    assert max(listener.connections for listener in listeners) > 40
    streams = served.app.state.event_streams
    eventually(lambda: not streams._followed and streams._task.done(), seconds=10, what="the end of all watching")


def test_a_stream_of_an_ended_job_is_all_of_it_and_an_end(
    served: Served, engine: Engine, project: ProjectKey, job: Job
) -> None:
    with session_scope(engine) as session:
        service.cancel(session, owner=project.owner, job_id=job.id)
    listener = Listener(f"{served.url}/v1/fine_tuning/jobs/{job.id}/events", project.key)
    listener.run()
    assert (listener.seen, listener.end) == ([1, 2, 3, 4], {"status": "cancelled"})


@pytest.mark.parametrize(
    ("params", "headers", "param"),
    [
        ({"limit": "5"}, {}, "limit"),
        ({"after": "ftevent-x"}, {}, "after"),
        ({}, {"last-event-id": "x"}, "Last-Event-ID"),
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
