import threading
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from core.leases import Limits
from core.settings import Settings
from core.storage import Storage
from worker.cache import Cache


@dataclass(frozen=True)
class Context:
    """What everything in a worker process shares. `draining` is set once the process has been asked to leave."""

    settings: Settings
    engine: Engine
    storage: Storage
    cache: Cache
    runs: Path
    worker_id: str
    draining: threading.Event

    @property
    def lease(self) -> float:
        return self.settings.lease_seconds

    @property
    def limits(self) -> Limits:
        return Limits.of(self.settings)
