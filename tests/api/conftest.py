import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from sqlalchemy import Engine, update

from api.main import create_app
from core.db import session_scope
from core.jobs import service
from core.models import File
from core.registry import cards
from core.registry.catalogue import CatalogueEntry, load_catalogue
from core.rows.survey import Survey
from core.rows.validate import validate
from core.settings import PACKAGED_CATALOGUE, Settings
from core.storage import Storage
from embedded.ports import free_ports
from tests.cards import CHATML, SPECIAL, write_card
from tests.conftest import ProjectKey
from tests.core.factories import make_model

SMOLLM2, TINY = load_catalogue(PACKAGED_CATALOGUE).models


@dataclass(frozen=True)
class Served:
    app: FastAPI
    url: str


@contextmanager
def serve(settings: Settings) -> Iterator[Served]:
    """The API behind a real uvicorn."""
    app, port = create_app(settings), free_ports(1)[0]
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", timeout_graceful_shutdown=2))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield Served(app, f"http://127.0.0.1:{port}")
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="session")
def served(settings: Settings) -> Iterator[Served]:
    with serve(settings) as served:
        yield served


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


@pytest.fixture
def on_premises(settings: Settings, http: httpx.Client) -> Iterator[httpx.Client]:
    """A client with the same key of an API whose operator lets webhooks go to private targets."""
    with serve(settings.model_copy(update={"webhook_private_targets": True})) as served:
        transport = httpx.HTTPTransport(retries=20)
        with httpx.Client(base_url=served.url, headers=http.headers, timeout=30, transport=transport) as client:
            yield client


@pytest.fixture
def publish_card(served: Served, storage: Storage, tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Publish a card for a model of the catalogue, the tiny one by default, with a template of the test's."""

    def remove() -> None:
        served.app.state.cards.close()
        for prefix in (cards.prefix(TINY), cards.prefix(SMOLLM2)):
            for entry in storage.manifest(prefix) or []:
                storage.delete(f"{prefix}{entry.name}")
            storage.delete(f"{prefix}manifest.json")

    def put(template: str = CHATML, *, model: CatalogueEntry = TINY, special: Sequence[str] = SPECIAL) -> None:
        folder = tmp_path / f"published-{model.id}"
        write_card(folder / "card", template, special=special)
        storage.put_folder(cards.prefix(model), folder)

    remove()
    yield put
    remove()


Upload = Callable[..., str]


@pytest.fixture
def rows(http: httpx.Client, engine: Engine, tmp_path: Path) -> Upload:
    """Uploads rows, and validates them as a worker does, unless they are to wait."""

    def put(*rows: dict[str, Any], waits: bool = False) -> str:
        (tmp_path / "rows").write_text("".join(json.dumps(row) + "\n" for row in rows))
        form = {"data": {"purpose": "fine-tune"}, "files": {"file": ("rows.jsonl", (tmp_path / "rows").read_bytes())}}
        file_id = http.post("/v1/files", **form).json()["id"]
        if not waits:
            judge(engine, file_id, tmp_path / "rows")
        return file_id

    return put


def judge(engine: Engine, file_id: str, path: Path) -> None:
    report = validate(path, survey=Survey()).figures()
    with session_scope(engine) as session:
        values = {"status": "processed", "report": report, "rows": report["rows"]}
        session.execute(update(File).where(File.id == file_id).values(**values))
        service.file_finished(session, file_id=file_id)


@pytest.fixture
def make(engine: Engine, project: ProjectKey) -> Callable[..., str]:
    def make(**spec: Any) -> str:
        with session_scope(engine) as session:
            return make_model(session, project.owner, **spec)

    return make
