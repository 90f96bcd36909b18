"""The doorbell: the only producer of Celery messages.

A message says "look into the database" and nothing else. It may be lost, doubled or late: workers poll too.
"""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Literal

from celery import Celery

from core.settings import Settings, get_settings

log = logging.getLogger(__name__)

Queue = Literal["train", "cpu"]
TASK = "tunesmith.run_until_idle"

# One thread, so that nobody waits for a broker that is down.
_ringer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="doorbell")
_waiting: set[str] = set()
_lock = threading.Lock()


def make_celery(settings: Settings, *, timeout: float | None = None) -> Celery:
    """JSON only, early acknowledgement, no results: Celery's state is nobody's truth.

    Args:
        timeout: seconds that a producer waits for the broker; null for consumers, which block on purpose.
    """
    app = Celery("tunesmith", broker=settings.redis_url.get_secret_value(), set_as_current=timeout is None)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        task_acks_late=False,
        task_default_queue="cpu",
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={}
        if timeout is None
        else {
            "socket_timeout": timeout,
            "socket_connect_timeout": timeout,
            "max_retries": 0,
        },
    )
    return app


@lru_cache
def _producer() -> Celery:
    return make_celery(get_settings(), timeout=2.0)


def ring(queue: Queue) -> None:
    """Wake the workers of a queue. Returns at once and never fails: a lost ring costs one poll interval."""
    with _lock:
        if queue in _waiting:
            return
        _waiting.add(queue)
    _ringer.submit(_send, queue)


def _send(queue: Queue) -> None:
    # Before sending: whoever commits from here on needs a ring of its own.
    with _lock:
        _waiting.discard(queue)
    try:
        _producer().send_task(TASK, queue=queue, retry=False, expires=60)
    except Exception as error:
        log.warning("doorbell for queue %s not delivered (%s); workers will poll", queue, type(error).__name__)
