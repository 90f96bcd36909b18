"""Counters and histograms of the whole deployment. They are kept in the database, so that every replica tells the same.

`observe` inserts a row in the transaction in which something happens: two that observe the same thing wait for nothing.
The reconciler adds these rows up every few seconds, so that a scrape reads a handful of sums, however long the
deployment has lived. `totals` includes the rows that are not added up yet.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from sqlalchemy import delete, func, literal, select, union_all
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.models import Observation, Tally

Counter = Literal["attempts", "attempt_errors", "lease_expiries", "fenced_writes_refused", "objects_removed"]
Histogram = Literal["recovery_seconds", "checkpoint_seconds"]
# Upper bounds of the buckets, in seconds; one without a bound follows.
BOUNDS: Mapping[Histogram, tuple[float, ...]] = {
    "recovery_seconds": (5, 10, 20, 30, 45, 60, 90, 120, 300, 900, 3600),
    "checkpoint_seconds": (0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900),
}


@dataclass(frozen=True)
class Totals:
    """counters: sums by (name, label). buckets, seconds: of histograms, by name: counts by upper bound, and the sum."""

    counters: dict[tuple[str, str], float] = field(default_factory=dict)
    buckets: dict[str, dict[float, int]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


def count(session: Session, name: Counter, *, label: str, by: int = 1) -> None:
    """Let a counter rise with this transaction."""
    session.add(Observation(name=name, label=label, bucket=0.0, value=float(by)))


def time(session: Session, name: Histogram, *, seconds: float) -> None:
    """Add a duration to a histogram with this transaction."""
    bucket = next((bound for bound in BOUNDS[name] if seconds <= bound), math.inf)
    session.add(Observation(name=name, label="", bucket=float(bucket), value=seconds))


def fold(session: Session) -> None:
    """Add up what has been observed. One at a time: the caller holds the reconciler's lock."""
    key = (Observation.name, Observation.label, Observation.bucket)
    taken = delete(Observation).returning(*key, Observation.value).cte("taken")
    columns = (taken.c.name, taken.c.label, taken.c.bucket)
    sums = select(*columns, func.count(), func.sum(taken.c.value)).group_by(*columns)
    statement = insert(Tally).from_select(["name", "label", "bucket", "count", "total"], sums)
    more = {"count": Tally.count + statement.excluded.count, "total": Tally.total + statement.excluded.total}
    session.execute(statement.on_conflict_do_update(index_elements=["name", "label", "bucket"], set_=more))


def totals(session: Session) -> Totals:
    """All sums, in one statement: what is being added up meanwhile counts once."""
    added = select(Tally.name, Tally.label, Tally.bucket, Tally.count, Tally.total)
    new = select(Observation.name, Observation.label, Observation.bucket, literal(1), Observation.value)
    both = union_all(added, new).subquery()
    columns = (both.c.name, both.c.label, both.c.bucket)
    found = Totals()
    rows = session.execute(select(*columns, func.sum(both.c.count), func.sum(both.c.total)).group_by(*columns))
    for name, label, bucket, number, total in rows:
        if name in BOUNDS:
            found.buckets.setdefault(name, {})[bucket] = int(number)
            found.seconds[name] = found.seconds.get(name, 0.0) + total
        else:
            found.counters[name, label] = total
    return found
