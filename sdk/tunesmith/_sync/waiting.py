"""How this half of the client waits and runs things side by side. `_async` has its own."""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def sleep(seconds: float) -> None:
    time.sleep(seconds)


def in_thread(work: Callable[[], Result]) -> Result:
    """There is no event loop to hold up."""
    return work()


def each(items: Iterable[Item], work: Callable[[Item], None], *, at_once: int) -> None:
    """Do the work for every item, so many at once; the first error ends it, after what is under way has stopped."""
    waiting, taking, stop = iter(items), Lock(), Event()
    nothing = object()

    def lane() -> None:
        while not stop.is_set():
            with taking:
                item = next(waiting, nothing)
            if item is nothing:
                return
            try:
                work(item)  # pyright: ignore[reportArgumentType]
            except BaseException:
                stop.set()
                raise

    with ThreadPoolExecutor(at_once) as pool:
        try:
            for done in [pool.submit(lane) for _ in range(at_once)]:
                done.result()
        finally:
            stop.set()
