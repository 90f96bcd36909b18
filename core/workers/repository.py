from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.models import Worker


def report(
    session: Session, *, worker_id: str, queue: str, slots: int, devices: list[int], current_attempts: list[int]
) -> None:
    """Write what a worker process is doing now; its row is made with the first report."""
    values = {"queue": queue, "slots": slots, "devices": devices, "current_attempts": current_attempts}
    session.execute(
        insert(Worker)
        .values(id=worker_id, started_at=func.now(), last_seen=func.now(), **values)
        .on_conflict_do_update(index_elements=["id"], set_={**values, "last_seen": func.now()})
    )
