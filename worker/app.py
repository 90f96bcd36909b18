"""`celery -A worker.app worker -Q train --pool threads`: the Celery side of a worker, and nothing else.

A message is a doorbell: it says that there may be work. What the work is stands in the database, and a thread of our
own looks there too, so that a lost message costs one poll interval.
"""

import logging
import os
import threading
from typing import Any

from celery import signals

from core.logs import bind_process, configure
from core.queue import TASK, make_celery
from core.settings import get_settings
from worker import forkserver
from worker.slots import Slots
from worker.start import BESIDE, start_slots

log = logging.getLogger(__name__)
app = make_celery(get_settings())
_slots: dict[str, Slots] = {}  # by queue; and those of BESIDE
_draining = threading.Event()


@app.task(name=TASK, bind=True)
def run_until_idle(task: Any) -> None:
    """Work through what is waiting in the queue that rang."""
    queue = task.request.delivery_info["routing_key"]
    if queue == "cpu":
        for name in BESIDE:  # none of them waits for validations
            _slots[name].nudge()
    _slots[queue].work()


@signals.celeryd_init.connect
def _begin(sender: str, **_: Any) -> None:
    # Before Celery has anything to say.
    configure(get_settings())
    bind_process(worker=sender)


@signals.setup_logging.connect
def _set_levels(loglevel: int, **_: Any) -> None:
    # Celery sets up nothing of its own where this signal has a receiver.
    logging.getLogger().setLevel(loglevel)
    logging.getLogger("celery.worker.strategy").setLevel(logging.WARNING)  # a line for every ring
    logging.getLogger("celery.app.trace").setLevel(logging.WARNING)


@signals.worker_init.connect
def _start(sender: Any, **_: Any) -> None:
    # In the main thread and before Celery starts threads of its own: the forkserver is started here.
    queues = list(sender.app.amqp.queues.consume_from)
    try:
        _slots.update(start_slots(get_settings(), queues=queues, worker_id=sender.hostname, draining=_draining))
    except Exception:
        # Celery only logs what its signals raise: the worker would stay, without slots and deaf.
        log.exception("the worker can't start")
        os._exit(1)
    # Not once Celery is ready: it never is while the broker is away.
    for queue, slots in _slots.items():
        threading.Thread(target=slots.poll, name=f"poll-{queue}", daemon=True).start()


@signals.worker_shutting_down.connect
def _drain(**_: Any) -> None:
    # Called inside of a signal handler: set the flag and no more.
    _draining.set()


@signals.worker_shutdown.connect
def _leave(**_: Any) -> None:
    for slots in _slots.values():
        slots.join()
    forkserver.stop()
