"""SQL that sums up what jobs have cost."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Date, Row, cast, extract, func, null, select
from sqlalchemy.orm import Session

from core.access.owner import Owner
from core.models import Attempt, Job

# What sums can be kept apart by, and the column of each. Days are those of UTC, which sessions speak.
GROUPS: dict[str, tuple[str, ColumnElement[Any]]] = {
    "project": ("project_id", Job.project_id.expression),
    "key": ("api_key_id", Job.api_key_id.expression),
    "model": ("model", Job.base_model.expression),
    "day": ("day", cast(Job.created_at, Date)),
}


def sums(
    session: Session, *, owner: Owner, group_by: list[str], start: datetime | None, end: datetime | None
) -> list[Row[Any]]:
    """A row a group, in the groups' order; a job belongs to the day on which it was created.

    Args:
        group_by: names of GROUPS; the columns of the others are null.
        start, end: only jobs created in [start, end).
    """
    columns = [
        (GROUPS[name][1] if name in GROUPS and name in group_by else null()).label(label)
        for name, (label, _) in GROUPS.items()
    ]
    keys = [GROUPS[name][1] for name in GROUPS if name in group_by]
    statement = select(
        *columns,
        func.count().label("jobs"),
        func.coalesce(func.sum(Job.cpu_seconds), 0).label("cpu_seconds"),
        func.coalesce(func.sum(Job.gpu_seconds), 0).label("gpu_seconds"),
        func.coalesce(func.sum(Job.trained_tokens), 0).label("trained_tokens"),
        func.coalesce(func.sum(Job.input_bytes), 0).label("input_bytes"),
        func.coalesce(func.sum(Job.output_bytes), 0).label("output_bytes"),
    ).where(owner.owns(Job.project_id))
    if start is not None:
        statement = statement.where(Job.created_at >= start)
    if end is not None:
        statement = statement.where(Job.created_at < end)
    return list(session.execute(statement.group_by(*keys).order_by(*keys)))


def slot_seconds(session: Session, *, job_ids: Sequence[str]) -> dict[str, float]:
    """For how long each job's attempts without a GPU have held a slot."""
    held = extract("epoch", func.coalesce(Attempt.ended_at, func.now()) - Attempt.started_at)
    on_cpu = (Attempt.job_id.in_(job_ids), Attempt.gpus == 0)
    rows = session.execute(select(Attempt.job_id, func.sum(held)).where(*on_cpu).group_by(Attempt.job_id))
    return {job_id: float(seconds) for job_id, seconds in rows}
