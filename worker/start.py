"""What a worker process sets up before it takes its first work."""

import logging
import os
import shutil
import socket
import threading
from collections.abc import Callable
from functools import partial

from core.db import make_engine, session_scope
from core.settings import Settings
from core.storage import Storage
from core.workers import repository as workers
from worker import cards, delivery, devices, exporting, forkserver, prompts, training, validation
from worker.cache import Cache
from worker.context import Context
from worker.cost import resident_family
from worker.patience import patiently
from worker.slots import Slot, Slots

log = logging.getLogger(__name__)


WORK = {"train": training.run_next, "cpu": validation.run_next}
# A worker of queue `cpu` also delivers webhooks, tells integrations and checks prompts, in slots of their own: they may
# be slow, as may validations.
BESIDE = {"deliveries": (delivery.run_next, 8), "exports": (exporting.run_next, 2), "prompts": (prompts.run_next, 1)}


def start_slots(
    settings: Settings, *, queues: list[str], worker_id: str, draining: threading.Event
) -> dict[str, Slots]:
    """The slots of this process by queue, each with a thread that reports them, and for `cpu` those of BESIDE.

    Waits for a database that is away.

    Raises:
        ValueError: a queue that no worker serves.
        OperationalError: the database stayed away.
    """
    work_dir = settings.work_dir.resolve()
    context = Context(
        settings=settings,
        engine=make_engine(settings),
        storage=Storage(settings),
        cache=Cache(work_dir / "cache", max_bytes=settings.cache_max_bytes),
        runs=work_dir / "runs",
        worker_id=worker_id,
        draining=draining,
    )
    started: dict[str, Slots] = {}
    for queue in queues:
        if queue not in WORK:
            raise ValueError(f"queue {queue!r}: no worker serves it; there are {', '.join(WORK)}")
        if queue == "train":
            # From here on nothing needs the environment, and no trainer should find a secret in it.
            forkserver.keep_only_allowed(os.environ)
            forkserver.start()
            clean_up = partial(training.clean_up, context)
            threading.Thread(target=cards.publish_all, args=(context,), name="cards", daemon=True).start()
        else:
            clean_up = partial(validation.clean_up, context)
            for name, (run_next, count) in BESIDE.items():
                started[name] = Slots(
                    [Slot() for _ in range(count)],
                    run_next=partial(run_next, context),
                    draining=draining,
                    poll_seconds=settings.poll_seconds,
                )
        patiently(clean_up, what="cleaning up", stop=draining)
        threading.Thread(target=_clean_up, args=(context, clean_up), name=f"clean-{queue}", daemon=True).start()
        slots = Slots(
            _slots_of(queue, settings),
            run_next=partial(WORK[queue], context),
            draining=draining,
            poll_seconds=settings.poll_seconds,
        )
        started[queue] = slots
        threading.Thread(target=_report, args=(context, queue, slots), name=f"report-{queue}", daemon=True).start()
    return started


def _slots_of(queue: str, settings: Settings) -> list[Slot]:
    """One slot per GPU; where there is none, as many on the CPU as the settings say. Validation takes one at a time."""
    if queue != "train":
        return [Slot()]
    return [Slot(devices=[index]) for index in devices.gpus()] or [Slot() for _ in range(settings.cpu_slots)]


def _clean_up(context: Context, clean_up: Callable[[], None]) -> None:
    """Again and again: at our start the leases of those who were killed right before may not have expired yet."""
    while not context.draining.wait(context.lease):
        try:
            clean_up()
        except Exception as error:
            log.warning("what killed workers have left could not be removed, the next try follows: %s", error)


def _report(context: Context, queue: str, slots: Slots) -> None:
    """Keep this process's row in the workers table fresh."""
    gpus = [index for slot in slots.slots for index in slot.devices]
    memory = devices.gpu_memory(gpus) if gpus else context.trainer_memory
    while True:
        try:
            disk = shutil.disk_usage(context.runs.parent)
            with session_scope(context.engine) as session:
                workers.report(
                    session,
                    worker_id=context.worker_id,
                    queue=queue,
                    slots=len(slots.slots),
                    devices=gpus,
                    current_attempts=slots.tokens(),
                    host=socket.gethostname(),
                    memory_bytes=memory,
                    resident_bytes=resident_family(os.getpid()),
                    disk=(disk.total, disk.free),
                )
        except Exception as error:
            log.warning("worker %s could not report itself: %s", context.worker_id, error)
        if context.draining.wait(context.settings.heartbeat_seconds):
            return
