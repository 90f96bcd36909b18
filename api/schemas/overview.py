from typing import Literal

from pydantic import BaseModel

from api.schemas.page import unix
from core.overview.repository import Failure


class FailureObject(BaseModel):
    """How many jobs have failed with one code; `message` and `param` are those of the latest."""

    code: str
    param: str | None = None
    count: int
    latest_job_id: str
    latest_at: int
    message: str

    @classmethod
    def of(cls, failure: Failure) -> "FailureObject":
        return cls(
            code=failure.code,
            param=failure.error.get("param"),
            count=failure.count,
            latest_job_id=failure.latest_job_id,
            latest_at=unix(failure.latest_at),
            message=failure.error["message"],
        )


class OwnQueue(BaseModel):
    """Jobs that wait for a slot; oldest_wait: seconds since the first of them was last queued."""

    depth: int
    oldest_wait: float


class ProjectUsage(BaseModel):
    """What the project's jobs have used within these hours; jobs: those that ran meanwhile."""

    project_id: str
    project: str
    gpu_seconds: float
    cpu_seconds: float
    jobs: int


class Services(BaseModel):
    """ "ok", or the name of the error that asking has ended with."""

    database: str
    broker: str
    storage: str


class OverviewObject(BaseModel):
    """jobs: how many are in each state that is not terminal. finished: how many ended in each that is."""

    object: Literal["overview"] = "overview"
    hours: int
    jobs: dict[str, int]
    finished: dict[str, int]
    failures: list[FailureObject]
    queue: OwnQueue
    usage: list[ProjectUsage]
    services: Services
