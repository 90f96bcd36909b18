from datetime import timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.models import Worker


def report(
    session: Session,
    *,
    worker_id: str,
    queue: str,
    slots: int,
    devices: list[int],
    current_attempts: list[int],
    host: str | None = None,
    memory_bytes: int | None = None,
    resident_bytes: int | None = None,
    disk: tuple[int, int] | None = None,
) -> None:
    """Write what a process is doing now; its row is made with the first report.

    Args:
        memory_bytes: what one slot may use. resident_bytes: what the process and all that it has started hold.
        disk: (bytes, free bytes) of the disk that holds its work folder.
    """
    values = {
        "queue": queue,
        "slots": slots,
        "devices": devices,
        "current_attempts": current_attempts,
        "host": host,
        "memory_bytes": memory_bytes,
        "resident_bytes": resident_bytes,
        "disk_bytes": disk and disk[0],
        "disk_free_bytes": disk and disk[1],
    }
    session.execute(
        insert(Worker)
        .values(id=worker_id, started_at=func.now(), last_seen=func.now(), **values)
        .on_conflict_do_update(index_elements=["id"], set_={**values, "last_seen": func.now()})
    )


def trainers(session: Session, *, silent_seconds: float) -> list[Worker]:
    """The workers that take jobs and have been heard of within so many seconds."""
    heard = Worker.last_seen > func.now() - timedelta(seconds=silent_seconds)
    return list(session.scalars(select(Worker).where(Worker.queue == "train", heard).order_by(Worker.id)))


def seen_since(session: Session, *, seconds: float) -> list[tuple[Worker, bool]]:
    """(worker, alive) of all that were seen in the last day; alive: within the last `seconds`."""
    alive = (func.now() - Worker.last_seen < timedelta(seconds=seconds)).label("alive")
    statement = select(Worker, alive).where(func.now() - Worker.last_seen < timedelta(days=1)).order_by(Worker.id)
    return [(row.Worker, row.alive) for row in session.execute(statement)]


def delete_gone(session: Session, *, seconds: float) -> None:
    """Forget the processes that have not been heard of for so long: containers come with a new name each time."""
    session.execute(delete(Worker).where(func.now() - Worker.last_seen > timedelta(seconds=seconds)))
