"""Real services for the whole suite: PostgreSQL, Valkey and SeaweedFS, started once and stopped at its end."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from openai import OpenAI
from psycopg.errors import LockNotAvailable
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from core.access.owner import Owner
from core.access.service import authenticate, create_key, ensure_project
from core.db import make_engine, session_scope
from core.models import Base
from core.settings import Settings, get_settings
from core.storage import Storage
from embedded.services import Services, run_services
from migrations import upgrade
from tests.receiver import Receiver, receiving
from tests.stack import Stack, eventually, run_stack


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with tests of the running stack come last: its workers and its reconciler must see no other test's rows."""
    of_stack = {item.path for item in items if "stack" in getattr(item, "fixturenames", ())}
    items.sort(key=lambda item: item.path in of_stack)


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    folder = tmp_path_factory.mktemp("services")
    with run_services(folder, durable=False) as running:
        os.environ.update(running.env)
        get_settings.cache_clear()
        yield running


@pytest.fixture(scope="session")
def settings(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = Settings(
        work_dir=tmp_path_factory.mktemp("work"),
        lease_seconds=5,
        poll_seconds=0.5,
        rate_limit_per_minute=0,
        key_cache_seconds=1,
    )
    upgrade(settings.database_url)
    return settings


@pytest.fixture(scope="session")
def _engine(settings: Settings) -> Iterator[Engine]:
    engine = make_engine(settings)
    yield engine
    engine.dispose()


@pytest.fixture
def engine(_engine: Engine) -> Engine:
    """The database, emptied."""
    eventually(lambda: _emptied(_engine), seconds=60, what="a moment at which nobody uses the database")
    return _engine


def _emptied(engine: Engine) -> bool:
    """Empty every table, or nothing where a process of the stack is in one: waiting for it could be a deadlock."""
    names = ", ".join(table.name for table in Base.metadata.sorted_tables)
    try:
        with engine.begin() as connection:
            connection.execute(text(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE NOWAIT"))
            connection.execute(text(f"TRUNCATE {names}"))
    except OperationalError as error:
        if isinstance(error.orig, LockNotAvailable):
            return False
        raise
    return True


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    with session_scope(engine) as session:
        yield session


@pytest.fixture(scope="session")
def storage(settings: Settings) -> Storage:
    return Storage(settings)


@dataclass(frozen=True)
class ProjectKey:
    project_id: str
    key: str
    owner: Owner


@pytest.fixture
def make_project(engine: Engine) -> Callable[[str], ProjectKey]:
    def make(name: str) -> ProjectKey:
        with session_scope(engine) as session:
            project = ensure_project(session, organization="tunesmith", project=name)
            key = create_key(session, project_id=project.id, name="test")
            session.flush()
            return ProjectKey(project.id, key, authenticate(session, key=key))

    return make


@pytest.fixture
def project(make_project: Callable[[str], ProjectKey]) -> ProjectKey:
    return make_project("default")


@pytest.fixture
def operator_key(engine: Engine) -> str:
    with session_scope(engine) as session:
        return create_key(session, project_id=None, name="operator")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Somebody's server that takes webhooks, at an address that is not public."""
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def repository_root() -> Path:
    return Path(__file__).parent.parent


@pytest.fixture(scope="session")
def _stack(services: Services, settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with run_stack(services, tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.fixture
def stack(_stack: Stack, engine: Engine) -> Stack:
    """API, workers and reconciler as processes, on an emptied database."""
    return _stack


@pytest.fixture
def openai(stack: Stack, project: ProjectKey) -> Iterator[OpenAI]:
    """The newest client of the contract, with the key of the project `default`."""
    with OpenAI(base_url=f"{stack.url}/v1", api_key=project.key) as client:
        yield client
