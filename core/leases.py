"""What everything that is claimed has in common: a fencing token, and a lease on the database's clock."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from core.models import attempt_token
from core.ops import tallies
from core.settings import Settings

# A table's class whose rows are claimed: with `token` and `lease_expires_at`.
Claimed = TypeVar("Claimed")


class Replaced(Exception):
    """The token is no longer valid: the work was cancelled, reaped, or taken over. Stop, and write nothing.

    kind: the table whose row somebody else has, or nobody, by now.
    """

    def __init__(self, message: str, *, kind: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True)
class Limits:
    """lease: seconds that an attempt may be silent. max_losses, max_faults: how often work is tried."""

    lease: float
    max_losses: int
    max_faults: int

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        return cls(lease=settings.lease_seconds, max_losses=settings.max_losses, max_faults=settings.max_faults)


def database_is_back(lease: float) -> ColumnElement[bool]:
    """True once the database has been up for a lease: while it was away nobody could renew theirs."""
    return func.now() - func.pg_postmaster_start_time() > timedelta(seconds=lease)


def issue(session: Session, row: Any, *, lease: float) -> int:
    """Give a locked row that is being claimed the next token, which it answers, and a lease of so many seconds."""
    token: int = session.scalars(select(attempt_token.next_value())).one()
    row.token, row.lease_expires_at = token, func.now() + timedelta(seconds=lease)
    return token


def hold(session: Session, table: type[Claimed], *, token: int, lease: float) -> Claimed:
    """Lock the row that the token has claimed and renew its lease.

    Raises:
        Replaced: no row has this token any more.
    """
    columns: Any = table
    row = session.scalar(
        update(table)
        .where(columns.token == token)
        .values(lease_expires_at=func.now() + timedelta(seconds=lease))
        .returning(table)
        .execution_options(populate_existing=True)
    )
    if row is None:
        kind = columns.__tablename__
        raise Replaced(f"{kind}: {token} has been replaced", kind=kind)
    return row


def expired(session: Session, table: type[Claimed], *, limits: Limits) -> list[Claimed]:
    """The rows, locked, whose claimants have been silent for longer than their lease: the caller gives them back."""
    columns: Any = table
    statement = (
        select(table)
        .where(columns.token.is_not(None), columns.lease_expires_at < func.now(), database_is_back(limits.lease))
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    rows = list(session.scalars(statement))
    if rows:
        tallies.count(session, "lease_expiries", label=columns.__tablename__, by=len(rows))
    return rows
