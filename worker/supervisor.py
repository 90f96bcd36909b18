"""One attempt at one job: start the trainer, relay what it says, publish what it makes, and never outlive the fence."""

import logging
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from sqlalchemy.orm import Session

from core.jobs import publishing
from core.leases import Replaced
from core.ops import tallies
from core.specs.run import RUN_EVENT, CheckpointEvent, RunError, RunEvent, RunResult, RunSpec
from worker import forkserver, watch
from worker.asking import asking
from worker.context import Context
from worker.cost import CostMeter
from worker.faults import DISK_FULL
from worker.fence import fenced
from worker.heartbeat import heartbeat
from worker.inputs import Assignment, fetch, last_line
from worker.logs import LogReader, masks
from worker.patience import GivenUp, patiently
from worker.room import is_full

log = logging.getLogger(__name__)
# How long an event may wait for company: briefly at first, when people look, and then so that a relay costs next to
# nothing, where a small model makes dozens of steps a second on the same cores.
EAGER, RELAY_SECONDS = 0.25, 1.0
EAGER_FOR = 10.0  # seconds
RESULTS = "results.csv"
MOST_RECORDED = 1000  # events of one transaction: a statement has at most 65,535 parameters


class Attempt:
    """Supervises one attempt, from the claim to its last write.

    Args:
        assignment: what the claim read.
        run_dir: an empty folder; it is the caller's to remove.
        devices: the GPUs of the slot.
    """

    def __init__(self, context: Context, assignment: Assignment, run_dir: Path, *, devices: list[int]) -> None:
        self.context = context
        self.assignment = assignment
        self.run_dir = run_dir
        self.devices = devices
        self._process: ForkServerProcess | None = None
        self._asked_to_stop_at: float | None = None
        self._overdue = False  # killed, because it did not stop when asked to
        self._took_too_much: RunError | None = None  # killed, because of that
        self._oom_kills = watch.oom_kills()
        self._pausing = threading.Event()
        self._stop = threading.Event()  # replaced: nothing is worth waiting for
        self._offset = 0  # bytes of events.jsonl that were read
        self._recorded = 0  # events of this attempt that are in the database
        self._caught_up_at: float | None = None  # when all that the trainer had said was there; it has not begun
        self._published: Path | None = None  # the local folder of the last checkpoint in the store
        self._meter = CostMeter(gpus=len(devices))
        settings = context.settings
        masked = masks(run_dir=run_dir, work_dir=settings.work_dir.resolve())
        self._log = LogReader(run_dir / "log.txt", masked=masked, most=settings.log_max_bytes)

    def run(self) -> None:
        """Run the attempt to one of its ends. A replaced attempt kills its trainer and writes nothing.

        Raises:
            Exception: it broke outside of its trainer, and its end is not written yet.
        """
        every = self.context.settings.heartbeat_seconds
        with heartbeat(self._beat, every=every, on_replaced=self._replaced):
            try:
                spec = patiently(self._fetch, what=f"inputs of {self.assignment.job_id}", stop=self._stop)
                if self.context.draining.is_set() or self._pausing.is_set():
                    self._write(publishing.stopped)
                    return
                with asking(self.context.settings, spec.method) as path:
                    self._train(spec.model_copy(update={"asking": path}))
                self._finish()
            except (Replaced, GivenUp) as error:
                log.info("attempt %s leaves: %s", self.assignment.token, error)
                if not self._stop.is_set():  # the worker leaves, and the job is still ours to give back
                    self._write(publishing.stopped)
            finally:
                self._kill()

    def _fetch(self) -> RunSpec:
        return fetch(self.context, self.assignment, self.run_dir, devices=self.devices, given_up=self._leaving)

    def _leaving(self) -> bool:
        return self._stop.is_set() or self.context.draining.is_set()

    def _train(self, spec: RunSpec) -> None:
        (self.run_dir / "spec.json").write_text(spec.model_dump_json(indent=1))
        self._process = forkserver.spawn(
            "trainers.run",
            "run",
            str(self.run_dir),
            devices=self.devices,
            threads=spec.threads,
            log=str(self.run_dir / "log.txt"),
        )
        assert self._process.pid is not None
        pid = self._process.pid
        allowed = watch.Allowed(memory=self.context.trainer_memory, disk=self.context.settings.run_max_bytes)
        eager_until = time.monotonic() + EAGER_FOR
        with watch.watched(pid, self.run_dir, meter=self._meter, allowed=allowed, stop_it=self._took):
            while not wait([self._process.sentinel], EAGER if time.monotonic() < eager_until else RELAY_SECONDS):
                self._pass_on_requests()
                self._relay()
                self._relay_log()
        self._process.join()
        self._relay()
        self._caught_up_at = None  # from here on it says nothing
        self._relay_log(final=True)
        cost = self._meter.cost()
        self._write(lambda s, **a: publishing.charge(s, cost=cost, **a))

    def _took(self, error: RunError) -> None:
        """It takes more than it may. Called by the thread that watches it, until it has ended."""
        self._took_too_much = self._took_too_much or error
        assert self._process is not None
        assert self._process.pid is not None
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _beat(self) -> None:
        lag = 0.0 if self._caught_up_at is None else time.monotonic() - self._caught_up_at
        with fenced(self.context.engine) as session:
            token, lease = self.assignment.token, self.context.lease
            if publishing.heartbeat(session, token=token, lease=lease, cost=self._meter.cost(), event_lag=lag):
                self._pausing.set()

    def _replaced(self) -> None:
        self._stop.set()
        self._kill()

    def _pass_on_requests(self) -> None:
        """Ask the trainer to checkpoint and stop where the job is to pause or the worker to leave."""
        assert self._process is not None
        if self._asked_to_stop_at is None:
            if self._pausing.is_set() or self.context.draining.is_set():
                self._asked_to_stop_at = time.monotonic()
                self._signal(signal.SIGTERM)
        elif time.monotonic() > self._drain_deadline():
            self._overdue = True
            self._kill()

    def _drain_deadline(self) -> float:
        return (self._asked_to_stop_at or 0) + self.context.settings.drain_seconds

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.pid is not None and self._process.exitcode is None:
            os.kill(self._process.pid, number)

    def _kill(self) -> None:
        """Kill the trainer and whatever it has started; harmless when it has ended."""
        if self._process is not None:
            forkserver.kill(self._process)

    def _relay(self) -> None:
        """Hand on the events that the trainer has written since the last time, in their order."""
        if self._stop.is_set():
            raise Replaced(f"attempt {self.assignment.token} has been replaced", kind="jobs")
        looked_at = time.monotonic()
        batch: list[RunEvent] = []
        for event in self._read_events():
            if isinstance(event, CheckpointEvent):
                self._record(batch)
                batch = []
                self._publish_checkpoint(event)
                self._pass_on_requests()  # more checkpoints may be waiting than a drain has time for
            else:
                batch.append(event)
        self._record(batch)
        self._caught_up_at = looked_at

    def _read_events(self) -> list[RunEvent]:
        path = self.run_dir / "events.jsonl"
        if not path.exists():
            return []
        with path.open("rb") as file:
            file.seek(self._offset)
            # A last line without its newline is still being written.
            complete, newline, _ = file.read().rpartition(b"\n")
        self._offset += len(complete) + len(newline)
        return [RUN_EVENT.validate_json(line) for line in complete.splitlines() if line]

    def _record(self, events: list[RunEvent]) -> None:
        relayed = [event for event in events if not isinstance(event, CheckpointEvent)]
        for at in range(0, len(relayed), MOST_RECORDED):  # many have come where the database was away
            part = relayed[at : at + MOST_RECORDED]
            self._write(partial(publishing.record, events=part, start=self._recorded))
            self._recorded += len(part)

    def _relay_log(self, *, final: bool = False) -> None:
        """Hand on what the trainer has printed since the last time."""
        while chunk := self._log.read(final=final):
            self._write(partial(publishing.record_log, start=chunk.start, end=chunk.end, text=chunk.text))
            self._log.offset = chunk.end

    def _publish_checkpoint(self, event: CheckpointEvent) -> None:
        prefix = f"{self.assignment.object_prefix}checkpoints/step-{event.step}/"
        began = time.monotonic()
        folder = self._upload(prefix, self.run_dir / event.path)
        seconds = time.monotonic() - began

        def publish(session: Session, **attempt: Any) -> None:
            publishing.publish_checkpoint(session, event=event, folder=folder, **attempt)
            tallies.time(session, "checkpoint_seconds", seconds=seconds)

        self._write(publish)
        if self._published is not None:  # the newest stays: a stopping trainer reads its counters
            shutil.rmtree(self._published, ignore_errors=True)
        self._published = self.run_dir / event.path

    def _upload(self, prefix: str, folder: Path) -> publishing.Folder:
        put = self.context.storage.put_folder
        entries = patiently(lambda: put(prefix, folder), what=f"upload of {prefix}", stop=self._stop)
        return publishing.Folder(prefix=prefix, entries=entries)

    def _finish(self) -> None:
        result, error = self._read_outcome()
        if error is not None:
            self._fail(error)
        elif result is not None and result.outcome == "succeeded":
            folder = self._upload(f"{self.assignment.object_prefix}artifacts/", self.run_dir / "artifacts")
            self._write(lambda s, **a: publishing.succeed(s, result=result, folder=folder, results_name=RESULTS, **a))
        elif self._took_too_much is not None:
            self._fail(self._took_too_much)
        elif self._stopped_as_asked(result):
            self._write(publishing.stopped)
        elif result is not None:
            message = "The trainer stopped before its last step, and nobody had asked it to"
            self._fail(RunError(code="trainer_stopped", message=message, retryable=True))
        else:
            self._fail(self._crash())

    def _crash(self) -> RunError:
        """What ended a trainer that left no word."""
        assert self._process is not None
        ended = _ending(self._process.exitcode)
        log.error("the trainer %s: %s", ended, last_line(self.run_dir / "log.txt"))
        if self._process.exitcode == -signal.SIGKILL and watch.oom_kills() > self._oom_kills:
            return watch.out_of_memory(self._meter)
        if is_full(self.run_dir):
            return RunError(code="disk_full", message=DISK_FULL, retryable=True)
        return RunError(code="trainer_crashed", message=f"The trainer {ended}", retryable=True)

    def _stopped_as_asked(self, result: RunResult | None) -> bool:
        if self.context.draining.is_set():
            return True
        assert self._process is not None
        # Before the trainer listens for SIGTERM, the signal ends it.
        ended = result is not None or self._overdue or self._process.exitcode == -signal.SIGTERM
        return self._asked_to_stop_at is not None and ended

    def _read_outcome(self) -> tuple[RunResult | None, RunError | None]:
        error, result = self.run_dir / "error.json", self.run_dir / "result.json"
        try:
            if error.exists():
                return None, RunError.model_validate_json(error.read_bytes())
            if result.exists():
                return RunResult.model_validate_json(result.read_bytes()), None
        except ValidationError as problem:
            return None, RunError(code="trainer_crashed", message=f"Unreadable outcome: {problem}", retryable=True)
        return None, None

    def _fail(self, error: RunError) -> None:
        token, limits = self.assignment.token, self.context.limits
        self._transact(lambda s: publishing.fail(s, token=token, limits=limits, error=error))

    def _write(self, write: Callable[..., object]) -> None:
        token, lease = self.assignment.token, self.context.lease
        self._transact(lambda session: write(session, token=token, lease=lease))

    def _transact(self, write: Callable[[Session], object]) -> None:
        """One transaction, tried until the database takes it.

        When a commit's answer is lost, the second try finds that it was done: the token is gone, the batch is counted.
        """

        def attempt() -> None:
            with fenced(self.context.engine) as session:
                write(session)

        patiently(attempt, what=f"write of attempt {self.assignment.token}", stop=self._stop)


def _ending(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        return f"was killed by signal {-exitcode} ({signal.Signals(-exitcode).name})"
    return f"ended with status {exitcode} and without a result"
