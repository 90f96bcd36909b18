from typing import Literal

from pydantic import BaseModel


class RunningAttempt(BaseModel):
    attempt: int
    job_id: str
    seconds: float


class WorkerObject(BaseModel):
    """A worker process as it last reported itself; alive: within the last lease. devices: GPUs; none: the CPU.

    memory_bytes: what the process and its trainers hold. slot_memory_bytes: what one slot may use: its GPU's memory,
    else its share of the machine's. disk_bytes, disk_free_bytes: of the disk of its work folder. Null: it does not say.
    """

    id: str
    object: Literal["worker"] = "worker"
    queue: str
    alive: bool
    slots: int
    devices: list[int]
    host: str | None
    memory_bytes: int | None
    slot_memory_bytes: int | None
    disk_bytes: int | None
    disk_free_bytes: int | None
    attempts: list[RunningAttempt]
    started_at: int
    last_seen: int


class QueueObject(BaseModel):
    """What waits for the workers of one queue, and how much they have in hand.

    oldest_wait: seconds since the first of what waits was last queued, uploaded or due.
    """

    id: str
    object: Literal["queue"] = "queue"
    depth: int
    running: int
    oldest_wait: float


class QueuePage(BaseModel):
    object: Literal["list"] = "list"
    data: list[QueueObject]
    jobs: dict[str, int]
