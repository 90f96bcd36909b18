"""Alembic's environment. The connection comes from `migrations.upgrade`, or from TUNESMITH_DATABASE_URL."""

from alembic import context
from sqlalchemy import create_engine, pool

from core.models import Base
from core.settings import get_settings


def run() -> None:
    url = context.config.get_main_option("sqlalchemy.url") or get_settings().database_url
    engine = create_engine(url, poolclass=pool.NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=Base.metadata, compare_server_default=True)
        with context.begin_transaction():
            # Replicas that start together migrate one after the other.
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtextextended('migrations', 0))")
            context.run_migrations()


run()
