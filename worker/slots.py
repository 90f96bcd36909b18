"""The slots of a worker: how many things it does at once, and on which devices."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

log = logging.getLogger(__name__)


@dataclass
class Slot:
    """Room for one attempt: a GPU index, or none for the CPU. `token` is the attempt that is in it."""

    devices: list[int] = field(default_factory=list)
    token: int | None = None


class Slots:
    """Hands out slots to whoever rings, Celery's threads and the poll thread alike.

    Args:
        run_next: claims one piece of work and does it; False when nothing is waiting.
        draining: once set, nothing more is claimed.
        poll_seconds: how long an idle slot sleeps when nobody rings.
    """

    def __init__(
        self, slots: list[Slot], *, run_next: Callable[[Slot], bool], draining: threading.Event, poll_seconds: float
    ) -> None:
        self.slots = slots
        self._free = list(slots)
        self._run_next = run_next
        self._draining = draining
        self._poll_seconds = poll_seconds
        self._changed = threading.Condition()
        self._rings = 0

    def work(self) -> None:
        """Work until nothing is waiting. Returns at once where all slots are busy: they go on claiming anyway."""
        with self._changed:
            self._rings += 1
        while not self._draining.is_set():
            slot = self._take()
            if slot is None:
                return
            rings = self._rings
            try:
                while not self._draining.is_set() and self._run_next(slot):
                    pass
            finally:
                self._give_back(slot)
            # A ring that came after the last look and found no free slot would otherwise be lost.
            if rings == self._rings:
                return

    def poll(self) -> None:
        """Ring for ourselves, for as long as the worker lives: messages may be lost, and the broker may be away."""
        while not self._draining.wait(self._poll_seconds):
            self.nudge()

    def nudge(self) -> None:
        """Work in a thread of its own, where a slot is free; returns at once."""
        if self._free:
            threading.Thread(target=self._work_quietly, name="nudged", daemon=True).start()

    def join(self) -> None:
        """Wait until no slot is in use."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._free) == len(self.slots))

    def tokens(self) -> list[int]:
        return [slot.token for slot in self.slots if slot.token is not None]

    def _work_quietly(self) -> None:
        try:
            self.work()
        except Exception as error:
            log.warning("the database could not be asked for work (%s); the next poll tries again", error)

    def _take(self) -> Slot | None:
        with self._changed:
            return self._free.pop() if self._free else None

    def _give_back(self, slot: Slot) -> None:
        with self._changed:
            slot.token = None
            self._free.append(slot)
            self._changed.notify_all()
