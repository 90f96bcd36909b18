"""No ring is lost, no slot is used twice, and a draining worker takes nothing more."""

import threading

from worker.slots import Slot, Slots


class Work:
    """A queue of so many pieces; each waits for `go`."""

    def __init__(self, pieces: int) -> None:
        self.left = pieces
        self.lock = threading.Lock()
        self.go = threading.Event()
        self.begun = threading.Semaphore(0)
        self.done: list[int] = []
        self.in_use: set[int] = set()

    def run_next(self, slot: Slot) -> bool:
        with self.lock:
            if self.left == 0:
                return False
            self.left -= 1
            assert id(slot) not in self.in_use
            self.in_use.add(id(slot))
        self.begun.release()
        self.go.wait(10)
        with self.lock:
            self.in_use.remove(id(slot))
            self.done.append(id(slot))
        return True


def start(slots: Slots) -> threading.Thread:
    thread = threading.Thread(target=slots.work)
    thread.start()
    return thread


def make(work: Work, slots: int, draining: threading.Event | None = None) -> Slots:
    return Slots(
        [Slot() for _ in range(slots)],
        run_next=work.run_next,
        draining=draining or threading.Event(),
        poll_seconds=0.01,
    )


def test_each_ring_takes_a_slot_and_all_work_is_done() -> None:
    work = Work(5)
    slots = make(work, 2)
    threads = [start(slots) for _ in range(5)]
    for _ in range(2):
        assert work.begun.acquire(timeout=10)
    assert len(work.in_use) == 2
    work.go.set()
    for thread in threads:
        thread.join(10)
    slots.join()
    assert (len(work.done), len(set(work.done))) == (5, 2)


def test_a_ring_while_every_slot_is_busy_is_heard() -> None:
    work = Work(1)
    slots = make(work, 1)
    first = start(slots)
    assert work.begun.acquire(timeout=10)
    with work.lock:
        work.left += 1  # comes after the busy slot's last look, as far as anybody can tell
    start(slots).join(10)  # answers at once: no slot is free
    work.go.set()
    first.join(10)
    assert len(work.done) == 2


def test_polling_finds_work_that_nobody_rang_for() -> None:
    work, draining = Work(1), threading.Event()
    work.go.set()
    slots = make(work, 1, draining)
    poll = threading.Thread(target=slots.poll)
    poll.start()
    assert work.begun.acquire(timeout=10)
    draining.set()
    poll.join(10)
    slots.join()
    assert len(work.done) == 1


def test_draining_finishes_what_runs_and_takes_no_more() -> None:
    work, draining = Work(3), threading.Event()
    slots = make(work, 1, draining)
    thread = start(slots)
    assert work.begun.acquire(timeout=10)
    draining.set()
    work.go.set()
    thread.join(10)
    start(slots).join(10)
    assert (len(work.done), work.left) == (1, 2)
