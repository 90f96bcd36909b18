import threading
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from sqlalchemy import Engine

from api.main import create_app
from core.settings import Settings
from embedded.ports import free_ports
from tests.conftest import ProjectKey


@dataclass(frozen=True)
class Served:
    app: FastAPI
    url: str


@pytest.fixture(scope="session")
def served(settings: Settings) -> Iterator[Served]:
    """The API behind a real uvicorn."""
    app, port = create_app(settings), free_ports(1)[0]
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", timeout_graceful_shutdown=2))
    thread = threading.Thread(target=server.run)
    thread.start()
    yield Served(app, f"http://127.0.0.1:{port}")
    server.should_exit = True
    thread.join()


@pytest.fixture
def anonymous(served: Served, engine: Engine) -> Iterator[httpx.Client]:
    """A client without a key, on an empty database."""
    transport = httpx.HTTPTransport(retries=20)  # the server's socket may not be open yet
    with httpx.Client(base_url=served.url, timeout=30, transport=transport) as client:
        yield client


@pytest.fixture
def http(anonymous: httpx.Client, project: ProjectKey) -> httpx.Client:
    """A client with the key of the project `default`."""
    anonymous.headers["authorization"] = f"Bearer {project.key}"
    return anonymous
