"""The database's history. `python -m migrations` brings the database of TUNESMITH_DATABASE_URL up to date."""

from pathlib import Path

from alembic import command
from alembic.config import Config


def config(database_url: str) -> Config:
    """Alembic's configuration for one database; dated file names sort as the history does."""
    alembic = Config()
    alembic.set_main_option("script_location", str(Path(__file__).parent))
    alembic.set_main_option("file_template", "%%(year)d_%%(month).2d_%%(day).2d_%%(slug)s")
    alembic.set_main_option("sqlalchemy.url", database_url.replace("%", "%%"))
    return alembic


def upgrade(database_url: str, revision: str = "head") -> None:
    command.upgrade(config(database_url), revision)


def downgrade(database_url: str, revision: str = "base") -> None:
    command.downgrade(config(database_url), revision)
