"""What everything that is claimed has in common: a fencing token, and a lease on the database's clock."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, func

from core.settings import Settings


class Replaced(Exception):
    """The token is no longer valid: the work was cancelled, reaped, or taken over. Stop, and write nothing."""


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
