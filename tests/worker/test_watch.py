"""What a trainer takes of its machine: watched, told and, where it is too much, ended."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from core.db import session_scope
from core.models import Job
from core.ops.repository import event_lag
from tests.disks import fill, small_disk
from tests.stack import eventually
from tests.worker.test_supervisor import start
from worker import watch
from worker.cost import CostMeter, resident_family
from worker.supervisor import Attempt
from worker.watch import Allowed, disk_use, sized, watched

GIB = 1024**3


def run(attempt: Attempt, function: str, *, memory: int = 100 * GIB, disk: int = 100 * GIB) -> Job:
    """Let a trainer of that kind run into what it is allowed beyond what it has at its start."""
    start(attempt, function)
    process = attempt._process
    assert process is not None
    assert process.pid is not None
    before = CostMeter(gpus=0)
    before.sample(process.pid)
    allowed = Allowed(memory=before.resident + memory, disk=disk)
    with watched(process.pid, attempt.run_dir, meter=attempt._meter, allowed=allowed, stop_it=attempt._took):
        process.join(60)
    assert process.exitcode is not None
    attempt._finish()
    with session_scope(attempt.context.engine) as session:
        return session.get_one(Job, attempt.assignment.job_id)


def test_the_memory_of_a_process_is_its_childrens_too() -> None:
    before = resident_family(os.getpid())
    holds = "data = b'x' * 100_000_000; print(flush=True); input()"
    command = [sys.executable, "-c", holds]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert resident_family(os.getpid()) - before > 90_000_000
        child.communicate(b"\n")


def test_over_its_memory_it_is_ended_and_its_peak_is_told(attempt: Attempt) -> None:
    job = run(attempt, "grow", memory=200 * 1024**2)
    assert (job.status, job.faults, job.losses) == ("queued", 1, 0)
    peak, limit = attempt._meter.peak, attempt._took_too_much
    assert limit is not None
    assert limit.code == "out_of_memory"
    assert job.status_reason == limit.message
    assert limit.message.startswith("The trainer took ")
    assert sized(peak) in limit.message
    assert peak < 4 * GIB  # it was ended long before it had taken all that it would


def test_over_its_disk_it_is_ended(attempt: Attempt) -> None:
    job = run(attempt, "write", disk=20 * 1024**2)
    assert (job.status, job.faults) == ("queued", 1)
    assert attempt._took_too_much is not None
    assert attempt._took_too_much.code == "disk_full"
    assert (attempt.run_dir / "log.txt").stat().st_size < 1000 * 1024**2


def test_within_its_limits_nobody_ends_it(attempt: Attempt) -> None:
    job = run(attempt, "die")
    assert job.status_reason == "The trainer ended with status 1 and without a result"


def test_inputs_are_the_caches_and_links_count_once_each(tmp_path: Path) -> None:
    (tmp_path / "inputs").mkdir()
    (tmp_path / "inputs" / "base").write_bytes(bytes(10 * 1024**2))
    (tmp_path / "checkpoints" / "step-1").mkdir(parents=True)
    (tmp_path / "checkpoints" / "step-1" / "weights").write_bytes(b"x" * 1024**2)
    (tmp_path / "log.txt").write_bytes(b"x" * 4096)
    assert 1024**2 + 4096 <= disk_use(tmp_path) < 2 * 1024**2


def test_a_trainer_that_dies_on_a_full_disk_without_a_word(attempt: Attempt, tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", megabytes=4) as disk:
        attempt.run_dir = disk / "run"
        attempt.run_dir.mkdir()
        start(attempt, "die")
        fill(disk)
        assert attempt._process is not None
        attempt._process.join(60)
        attempt._finish()
    with session_scope(attempt.context.engine) as session:
        job = session.get_one(Job, attempt.assignment.job_id)
        assert (job.status, job.status_reason) == ("queued", "The worker's disk is full")


@pytest.mark.parametrize(("counted", "code"), [(1, "out_of_memory"), (0, "trainer_crashed")])
def test_what_the_kernel_kills_for_want_of_memory_is_told_as_that(
    attempt: Attempt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counted: int, code: str
) -> None:
    events = tmp_path / "memory.events"
    events.write_text("low 0\noom 3\noom_kill 3\n")
    monkeypatch.setattr(watch, "OOM_COUNTERS", (tmp_path / "away", events))
    attempt._oom_kills = watch.oom_kills()
    start(attempt, "hang")
    assert attempt._process is not None
    attempt._meter.sample(attempt._process.pid or 0)
    attempt._signal(signal.SIGKILL)
    attempt._process.join(10)
    events.write_text(f"low 0\noom 3\noom_kill {3 + counted}\n")
    error = attempt._crash()
    assert error.code == code
    if counted:
        assert sized(attempt._meter.peak) in error.message


def test_the_lag_is_told_with_the_heartbeat(attempt: Attempt, lag_now: Callable[[], float]) -> None:
    attempt._beat()
    assert lag_now() == 0.0
    attempt._relay()
    assert attempt._caught_up_at is not None
    attempt._caught_up_at -= 30
    attempt._beat()
    assert 30 <= lag_now() < 40
    attempt._relay()
    attempt._beat()
    assert lag_now() < 5


@pytest.fixture
def lag_now(attempt: Attempt) -> Callable[[], float]:
    def lag() -> float:
        with session_scope(attempt.context.engine) as session:
            return event_lag(session)

    return lag


def test_a_meter_follows_what_a_trainer_has_started(tmp_path: Path) -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'x = b\"x\" * 100_000_000; input()'])"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as process:
        meter = CostMeter(gpus=0)

        def grown() -> bool:
            meter.sample(process.pid)
            return meter.resident > 100_000_000

        eventually(grown, seconds=20, what="the child's memory")
        process.communicate(b"\n")
    meter.sample(process.pid)
    assert meter.resident == 0
    assert meter.peak > 100_000_000
