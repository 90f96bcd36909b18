"""Looking around while a round lasts: which processes are there, and whether what becomes visible is whole."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tests.chaos.history import History
from tests.chaos.witness import Witness, trainers

LOOK_SECONDS = 0.25
NEW_CHECKPOINTS = """
    SELECT c.id, c.job_id, c.prefix, c.manifest FROM checkpoints c JOIN jobs j ON j.id = c.job_id
    WHERE j.spec->'metadata'->>'run' = %s AND c.created_at > now() - interval '2 minutes'
"""
NEW_ARTIFACTS = """
    SELECT a.id, a.job_id, left(a.object_key, -length(a.name)) AS prefix,
           jsonb_build_array(jsonb_build_object('name', a.name, 'bytes', a.bytes, 'sha256', a.sha256)) AS manifest
    FROM artifacts a JOIN jobs j ON j.id = a.job_id
    WHERE j.spec->'metadata'->>'run' = %s AND a.created_at > now() - interval '2 minutes'
"""


class Watch:
    """Two threads, for as long as the block lasts.

    Args:
        workers: answers the process ids of those workers that are alive, by name.
    """

    def __init__(self, witness: Witness, history: History, *, run: str, workers: Callable[[], dict[str, int]]) -> None:
        self._witness = witness
        self._history = history
        self._run = run
        self._workers = workers
        self._seen: set[str] = set()
        self._leave = threading.Event()
        self._threads = [
            threading.Thread(target=self._repeat, args=(look,), name=look.__name__, daemon=True)
            for look in (self._processes, self._objects)
        ]

    def __enter__(self) -> "Watch":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._leave.set()
        for thread in self._threads:
            thread.join()

    def _repeat(self, look: Callable[[], None]) -> None:
        left = False
        while not left:
            left = self._leave.wait(LOOK_SECONDS)
            look()  # once more at the end: what became visible just before is looked at, too

    def _processes(self) -> None:
        # The trainers first: one whose worker dies between the two looks is then not taken for one that stays.
        found: list[Any] = [[trainer.pid, trainer.job, trainer.token] for trainer in trainers()]
        self._history.add("processes", trainers=found, workers=self._workers())

    def _objects(self) -> None:
        for sql in (NEW_CHECKPOINTS, NEW_ARTIFACTS):
            for row in self._witness.rows(sql, self._run):
                if row["id"] in self._seen:
                    continue
                try:
                    faults = self._witness.faults_of(row["prefix"], row["manifest"])
                except (BotoCoreError, ClientError):  # the store does not answer just now
                    continue
                self._seen.add(row["id"])
                self._history.add("visible", id=row["id"], job=row["job_id"], faults=faults)
