"""A job on a terminal: where it is and why, and how training goes."""

import time
from types import TracebackType
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.text import Text
from typing_extensions import Self

from tunesmith import chart
from tunesmith.text import printable
from tunesmith.types import Event, Job, MetricSeries

PLAIN_SECONDS = 10  # between two lines about steps where no bar can be drawn
CHART_LINES = 12
LOSSES = ("train_loss", "valid_loss")
WIDEST_CHART = 100  # characters


def on_terminal() -> bool:
    """Whether standard output is one."""
    return Console().is_terminal


class View:
    """A bar on a terminal, plain lines elsewhere. Left with Ctrl-C, or as a cancelled task, it says how to go on.

    Attributes:
        seq: of the last event that was shown.
        points: how many points of a curve can be told apart here.
    """

    def __init__(self, job_id: str, console: Console | None = None) -> None:
        self._job_id = job_id
        self._console = console or Console()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("step {task.completed:.0f}/{task.total:.0f}"),
            TextColumn("{task.fields[figures]}"),
        )
        self._width = min(self._console.width, WIDEST_CHART)
        self._live = Live(console=self._console, transient=False) if self._console.is_terminal else None
        self._task: TaskID | None = None
        self._chart = Text()
        self._status = ""
        self._figures: dict[str, Any] = {}
        self._said_at = 0.0
        self.seq = 0
        self.points = chart.ACROSS * self._width

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
        if kind is not None and not issubclass(kind, Exception):
            words = f"The job goes on. Watch it again with: tunesmith jobs watch {self._job_id}"
            self._console.print(f"\n{words}", highlight=False)

    def show(self, job: Job, events: list[Event]) -> None:
        """Take the job's present state, and its events since the last call, oldest first."""
        status = _status(job)
        if status != self._status:
            self._console.print(printable(status), markup=False, highlight=False)
            self._status = status
        for event in events:
            self.seq = max(self.seq, event.seq)
            if event.type == "metrics":
                self._figures |= {key: value for key, value in (event.data or {}).items() if value is not None}
            elif event.level != "info" and event.message != job.status_reason:
                self._console.print(f"{event.level}: {printable(event.message)}", markup=False)
        if job.step and job.total_steps:
            self._advance(job, step=job.step, total=job.total_steps)

    def draw(self, metrics: MetricSeries) -> None:
        """Take the curves of the losses, to be drawn above the bar; nothing where there is no terminal."""
        if self._live is not None:
            losses = {name: metrics.series[name] for name in LOSSES if name in metrics.series}
            self._chart = chart.curves(losses, width=self._width, height=CHART_LINES)
            self._refresh()

    def _advance(self, job: Job, *, step: int, total: int) -> None:
        figures = _figures(self._figures, job)
        if self._task is None:
            self._task = self._bar.add_task("training", total=total, figures=figures)
        self._bar.update(self._task, completed=step, total=total, figures=figures)
        if self._live is not None:
            self._refresh()
        elif time.monotonic() - self._said_at > PLAIN_SECONDS or (step == total and job.ended):
            self._said_at = time.monotonic()
            self._console.print(f"step {step}/{total}  {figures}", highlight=False)

    def _refresh(self) -> None:
        assert self._live is not None
        shown = [self._chart] if self._chart else []
        self._live.update(Group(*shown, self._bar))


def _status(job: Job) -> str:
    """Where the job is and why, in a line."""
    place = f" (number {job.queue_position} in the queue)" if job.queue_position is not None else ""
    return f"{job.status}{place}" + (f": {job.status_reason}" if job.status_reason else "")


def _figures(data: dict[str, Any], job: Job) -> str:
    parts = [
        f"{label} {data[key]:.3f}"
        for key, label in (
            ("train_loss", "loss"),
            ("train_mean_token_accuracy", "token accuracy"),
            ("train_reward_accuracy", "reward accuracy"),
            ("train_accuracy", "accuracy"),
            ("valid_loss", "valid loss"),
        )
        if isinstance(data.get(key), int | float)
    ]
    left = _seconds_left(job)
    if job.step == job.total_steps and not job.ended:
        parts.append("all steps done; what is left takes a while: samples, upload")
    elif left is not None:
        parts.append(f"{left // 60}:{left % 60:02d} left")
    return "  ".join(parts)


def _seconds_left(job: Job) -> int | None:
    if job.ended:
        return None
    if job.seconds_left is not None:
        return job.seconds_left
    return None if job.estimated_finish is None else max(0, job.estimated_finish - int(time.time()))
