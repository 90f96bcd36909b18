import pytest
from alembic import command
from sqlalchemy import NullPool, create_engine, inspect, text

from core.settings import Settings
from migrations import config, downgrade, upgrade


@pytest.fixture
def empty_database(settings: Settings) -> str:
    engine = create_engine(settings.database_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("DROP DATABASE IF EXISTS migrated"))
        connection.execute(text("CREATE DATABASE migrated"))
    engine.dispose()
    return settings.database_url.rpartition("/")[0] + "/migrated"


def names(url: str) -> list[str]:
    """Tables and sequences."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        inspector = inspect(connection)
        return inspector.get_table_names() + inspector.get_sequence_names()


def test_from_empty_to_head_without_drift_and_back(empty_database: str) -> None:
    upgrade(empty_database)
    command.check(config(empty_database))  # raises where models and migrations differ
    assert "jobs" in names(empty_database)
    downgrade(empty_database)
    assert names(empty_database) == ["alembic_version"]
    upgrade(empty_database)
