"""What the API answers about keys, projects and the deployment; `tunesmith.types` has these names too."""

from tunesmith.base import Answer


class KeyProject(Answer):
    """The project that a key speaks for."""

    id: str
    name: str


class Key(Answer):
    """The key that asks. An operator's has no project, and sees all of them."""

    id: str
    name: str
    operator: bool
    organization: str | None = None
    project: KeyProject | None = None


class Project(Answer):
    """The owner of files, jobs and models; `organization` is a name."""

    id: str
    name: str
    organization: str | None = None
    created_at: int | None = None


class Failure(Answer):
    """How many jobs have failed with one code; `message` and `param` are those of the latest."""

    code: str
    param: str | None = None
    count: int
    latest_job_id: str
    latest_at: int
    message: str


class OwnQueue(Answer):
    """The jobs that wait for a slot; oldest_wait: seconds since the first of them was last queued."""

    depth: int
    oldest_wait: float = 0


class ProjectUsage(Answer):
    """What a project's jobs have used within the hours of an overview; jobs: those that ran meanwhile."""

    project_id: str
    project: str
    gpu_seconds: float = 0
    cpu_seconds: float = 0
    jobs: int = 0


class Overview(Answer):
    """How things stand. `jobs` counts by state that is not terminal, `finished` by how jobs ended within the `hours`.

    services: of `database`, `broker` and `storage`, "ok" or the name of an error.
    """

    hours: int
    jobs: dict[str, int]
    finished: dict[str, int]
    failures: list[Failure] = []
    queue: OwnQueue
    usage: list[ProjectUsage] = []
    services: dict[str, str] = {}


class RunningAttempt(Answer):
    """What one slot of a worker is at; `seconds` since it began."""

    attempt: int
    job_id: str
    seconds: float


class Worker(Answer):
    """A worker process as it last reported itself; `alive`: within the last lease.

    queue: `train`, `cpu` or `reconciler`. devices: GPUs; none: it trains on the CPU. memory_bytes: what the process
    and its trainers hold. slot_memory_bytes: what one slot may use. disk_bytes, disk_free_bytes: of its work folder.
    """

    id: str
    queue: str | None = None
    alive: bool | None = None
    slots: int | None = None
    devices: list[int] = []
    host: str | None = None
    memory_bytes: int | None = None
    slot_memory_bytes: int | None = None
    disk_bytes: int | None = None
    disk_free_bytes: int | None = None
    attempts: list[RunningAttempt] = []
    started_at: int | None = None
    last_seen: int | None = None


class Queue(Answer):
    """What waits for the workers of one queue, and how much they have in hand.

    oldest_wait: seconds since the first of what waits was last queued, uploaded or due.
    """

    id: str
    depth: int
    running: int | None = None
    oldest_wait: float | None = None
