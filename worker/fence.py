"""Transactions of whoever holds a token."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from core.db import session_scope
from core.leases import Replaced
from core.ops import tallies
from worker.patience import TRANSIENT


@contextmanager
def fenced(engine: Engine) -> Iterator[Session]:
    """A transaction in which a token is checked. Where it is refused, that is counted, in a transaction of its own.

    Raises:
        Replaced: the token is no longer valid; nothing was written.
    """
    try:
        with session_scope(engine) as session:
            yield session
    except Replaced as refused:
        with suppress(*TRANSIENT), session_scope(engine) as session:
            tallies.count(session, "fenced_writes_refused", label=refused.kind)
        raise
