"""Watching a job on a terminal."""

import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from tunesmith import polling
from tunesmith.client import Tunesmith
from tunesmith.text import printable
from tunesmith.types import Event, Job

PLAIN_SECONDS = 10  # between two lines about steps where no bar can be drawn


def watch(client: Tunesmith, job_id: str, console: Console | None = None) -> Job:
    """Show the job until it ends, and answer its last state. Ctrl-C stops watching; the job goes on."""
    console = console or Console()
    view = _View(console)

    def look() -> Job:
        job = client.fine_tuning.jobs.retrieve(job_id)
        view.show(job, client)
        return job

    try:
        with view.bar:
            for job in polling.states(look, what=f"job {job_id}", timeout=None):
                if job.ended:
                    return job
        raise AssertionError("unreachable")
    except KeyboardInterrupt:
        console.print(f"\nThe job goes on. Watch it again with: tunesmith jobs wait {job_id}")
        raise


class _View:
    """A bar on a terminal, plain lines elsewhere."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("step {task.completed:.0f}/{task.total:.0f}"),
            TextColumn("{task.fields[figures]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None
        self._status = ""
        self._seq = 0
        self._figures: dict[str, Any] = {}
        self._said_at = 0.0

    def show(self, job: Job, client: Tunesmith) -> None:
        status = job.status if not job.status_reason else f"{job.status}: {job.status_reason}"
        if status != self._status:
            self.console.print(status)
            self._status = status
        for event in self._new_events(job, client):
            if event.type == "metrics":
                self._figures |= {key: value for key, value in (event.data or {}).items() if value is not None}
            elif event.level != "info":
                self.console.print(f"{event.level}: {printable(event.message)}", markup=False)
        if job.step and job.total_steps:
            self._draw(job, step=job.step, total=job.total_steps)

    def _new_events(self, job: Job, client: Tunesmith) -> list[Event]:
        new: list[Event] = []
        for event in client.fine_tuning.jobs.events(job.id):
            if event.seq <= self._seq:
                break
            new.append(event)
        self._seq = max([self._seq, *(event.seq for event in new)])
        return new[::-1]

    def _draw(self, job: Job, *, step: int, total: int) -> None:
        figures = _figures(self._figures, job)
        if self._task is None:
            self._task = self.bar.add_task("training", total=total, figures=figures)
        self.bar.update(self._task, completed=step, total=total, figures=figures)
        if not self.console.is_terminal and (time.monotonic() - self._said_at > PLAIN_SECONDS or step == total):
            if self._said_at and step == total and job.status == "running":
                return
            self._said_at = time.monotonic()
            self.console.print(f"step {step}/{total}  {figures}")


def _figures(data: dict[str, Any], job: Job) -> str:
    parts = [
        f"{label} {data[key]:.3f}"
        for key, label in (
            ("train_loss", "loss"),
            ("train_mean_token_accuracy", "token accuracy"),
            ("valid_loss", "valid loss"),
        )
        if key in data
    ]
    if job.estimated_finish is not None and not job.ended:
        left = max(0, job.estimated_finish - int(time.time()))
        parts.append(f"{left // 60}:{left % 60:02d} left")
    return "  ".join(parts)
