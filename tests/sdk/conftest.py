"""An HTTP server that answers what a test has scripted: for refusals and broken answers that ours would not give."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tunesmith import Tunesmith
from tunesmith._async import waiting as async_waiting
from tunesmith._sync import waiting


@dataclass(frozen=True)
class Answer:
    """`cut`: announce more bytes than come."""

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False


@dataclass(frozen=True)
class Received:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Script:
    """Answers are given in their order, and the last one is repeated; or `respond` makes one for each request."""

    url: str
    answers: list[Answer] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    respond: Callable[[Received], Answer] | None = None

    def say(self, *answers: Answer) -> None:
        self.answers[:] = answers


@pytest.fixture
def script() -> Iterator[Script]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {key.lower(): value for key, value in self.headers.items()}
            request = Received(self.command, self.path, headers, body)
            script.received.append(request)
            if script.respond is not None:
                answer = script.respond(request)
            else:
                answer = script.answers.pop(0) if len(script.answers) > 1 else script.answers[0]
            content = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            for key, value in answer.headers.items():
                self.send_header(key, value)
            self.send_header("content-length", str(len(content) + (10 if answer.cut else 0)))
            self.end_headers()
            self.wfile.write(content)
            self.close_connection = answer.cut

        do_GET = do_POST = do_DELETE = answer

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    script = Script(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield script
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that the SDK would have slept; it does not."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(waiting, "sleep", slept.append)
    monkeypatch.setattr(async_waiting, "sleep", sleep)
    return slept


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home: no profile and no half-sent upload of whoever runs the tests."""
    folder = tmp_path_factory.mktemp("home")
    for name in [name for name in os.environ if name.startswith("TUNESMITH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    return folder


@pytest.fixture
def client(script: Script, waits: list[float]) -> Iterator[Tunesmith]:
    with Tunesmith(base_url=f"{script.url}/v1", api_key="tsk-secret") as client:
        yield client
