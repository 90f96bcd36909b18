import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from sqlalchemy import Engine

from core.leases import Limits
from core.registry.cards import Cards
from core.settings import Settings
from core.storage import Storage
from worker import devices
from worker.cache import Cache
from worker.room import Room


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

    @cached_property
    def trainer_memory(self) -> int:
        """Bytes of this machine's memory that one trainer may take."""
        return devices.trainer_memory(self.settings)

    @cached_property
    def cards(self) -> Cards:
        """On this process's disk for as long as it lives."""
        return Cards(self.storage)

    @cached_property
    def room(self) -> Room:
        return Room(self.runs.parent, cache=self.cache, least=self.settings.disk_reserve_bytes)

    @property
    def limits(self) -> Limits:
        return Limits.of(self.settings)
