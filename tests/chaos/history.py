"""The record of a round: what was seen, in the order in which it was seen, and how to find one's way in it."""

import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Record = dict[str, Any]
Dump = dict[str, Any]
TERMINAL = {"succeeded", "failed", "cancelled"}


class History:
    """One JSON object a line, appended by any thread and never changed. `at` is this machine's time."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a")
        self._lock = threading.Lock()
        self._path = path

    def add(self, kind: str, **facts: Any) -> None:
        with self._lock:
            self._file.write(json.dumps({"at": time.time(), "kind": kind, **facts}) + "\n")
            self._file.flush()

    def read(self) -> list[Record]:
        with self._lock:
            return [json.loads(line) for line in self._path.read_text().splitlines()]

    def close(self) -> None:
        self._file.close()


def of_kind(history: list[Record], *kinds: str) -> list[Record]:
    return [record for record in history if record["kind"] in kinds]


def by_job(rows: Iterable[Record]) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = defaultdict(list)
    for row in rows:
        found[row["job"]].append(row)
    return found


def of_relation(dump: Dump, relation: str) -> dict[str, list[Record]]:
    """The audit of one table by job, in order: (n, at, …) and the facts, side by side."""
    return by_job(row | row["facts"] for row in dump["audit"] if row["relation"] == relation)
