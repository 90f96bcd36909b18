"""Writing a run directory: events line by line, outcomes whole."""

import shutil
from pathlib import Path
from typing import Any

from core.specs.run import CheckpointEvent, MessageEvent, MetricsEvent, ResolvedEvent, RunError, RunResult

Event = MessageEvent | ResolvedEvent | MetricsEvent | CheckpointEvent


class RunDir:
    """The trainer's side of a run directory; core/specs/run.py describes the files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.events = path / "events.jsonl"
        self.checkpoints = path / "checkpoints"
        self.artifacts = path / "artifacts"
        self.working = path / "trainer"  # what has no name of its own yet

    def begin(self) -> None:
        """Remove what an attempt that was killed in the same folder has left halfway."""
        shutil.rmtree(self.working, ignore_errors=True)
        shutil.rmtree(self.artifacts, ignore_errors=True)
        for name in ("result.json", "error.json"):
            (self.path / name).unlink(missing_ok=True)
        if self.events.exists():
            written = self.events.read_bytes()
            self.events.write_bytes(written[: written.rfind(b"\n") + 1])

    def emit(self, event: Event) -> None:
        """Append an event; one write of a whole line, so that a reader never sees two mixed."""
        with self.events.open("ab") as file:
            file.write(event.model_dump_json().encode() + b"\n")

    def say(self, message: str, *, level: Any = "info") -> None:
        self.emit(MessageEvent(level=level, message=message))

    def succeed(self, result: RunResult) -> None:
        self._write("result.json", result.model_dump_json(indent=1))

    def fail(self, error: RunError) -> None:
        shutil.rmtree(self.working, ignore_errors=True)  # where the disk is full, this is what makes room
        self._write("error.json", error.model_dump_json(indent=1))

    def _write(self, name: str, text: str) -> None:
        partial = self.path / f"{name}.partial"
        partial.write_text(text)
        partial.replace(self.path / name)
