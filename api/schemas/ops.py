from typing import Literal

from pydantic import BaseModel


class RunningAttempt(BaseModel):
    attempt: int
    job_id: str
    seconds: float


class WorkerObject(BaseModel):
    """A worker process as it last reported itself; alive: within the last lease. devices: GPUs; none: the CPU."""

    id: str
    object: Literal["worker"] = "worker"
    queue: str
    alive: bool
    slots: int
    devices: list[int]
    attempts: list[RunningAttempt]
    started_at: int
    last_seen: int


class QueueObject(BaseModel):
    """What waits for the workers of one queue, and how much they have in hand; `oldest_wait` in seconds."""

    id: str
    object: Literal["queue"] = "queue"
    depth: int
    running: int
    oldest_wait: float


class QueuePage(BaseModel):
    object: Literal["list"] = "list"
    data: list[QueueObject]
    jobs: dict[str, int]
