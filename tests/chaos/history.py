"""The record of a round: what was seen, in the order in which it was seen."""

import json
import threading
import time
from pathlib import Path
from typing import Any

Record = dict[str, Any]


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
