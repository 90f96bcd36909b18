"""The database: one engine a process, one transaction a session, and calls that wait for the commit."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, create_engine, event, func, select, text
from sqlalchemy.orm import Session

from core.settings import Settings

Now = func.now  # the transaction's time, on the database's clock: the only clock that leases know
_AFTER_COMMIT = "after_commit"


def make_engine(settings: Settings, **options: Any) -> Engine:
    """Connections answer or fail within seconds: a statement that hangs would outlive the lease that it serves."""
    return create_engine(
        settings.database_url,
        pool_size=settings.database_pool_size,
        pool_pre_ping=True,
        pool_timeout=10,
        hide_parameters=True,  # errors are logged, and parameters hold what users sent
        connect_args={
            "connect_timeout": 5,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 20_000,  # milliseconds
            "options": "-c timezone=UTC -c statement_timeout=30000 -c idle_in_transaction_session_timeout=60000",
        },
        **options,
    )


@contextmanager
def session_scope(engine: Engine) -> Iterator[Session]:
    """One transaction: committed at the end of the block, rolled back when the block raises.

    What `after_commit` was given runs once the commit is acknowledged, and never after a rollback.
    """
    with Session(engine, expire_on_commit=False) as session:
        with session.begin():
            yield session
        for call in session.info.pop(_AFTER_COMMIT, []):
            call()


def after_commit(session: Session, call: Callable[[], object]) -> None:
    """Run `call` after this session's transaction has been committed (a doorbell, say)."""
    session.info.setdefault(_AFTER_COMMIT, []).append(call)


def lock(session: Session, name: str) -> None:
    """Wait for the advisory lock of that name and hold it until the transaction ends."""
    session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name})


def transaction_time(session: Session) -> datetime:
    """When the transaction began, on the database's clock."""
    return session.scalars(select(Now())).one()


def try_lock(session: Session, name: str) -> bool:
    """Take the advisory lock of that name until the transaction ends, or answer False at once."""
    taken = session.scalar(text("SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name})
    return bool(taken)


@event.listens_for(Session, "after_rollback")
def _forget_calls(session: Session) -> None:
    session.info.pop(_AFTER_COMMIT, None)
