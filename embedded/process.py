"""A child process: started with its output relayed, tied to our life, stopped with the signal that it understands."""

import ctypes
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

LOG_BYTES = 10 * 1024 * 1024  # a log of this size becomes NAME.log.1
PR_SET_PDEATHSIG = 1


class StartFailed(Exception):
    """A process ended, or did not answer in time; the message ends with its last output."""


class Stopped(Exception):
    """The wait for a process to become ready was given up on request."""


@dataclass
class Child:
    """One program of the stack.

    stop_signal: asks it to end in good order. death_signal: what the kernel sends when we die, however we do.
    user: the account it runs as, where that is not ours. ready: answers whether it serves.
    """

    name: str
    command: list[str]
    logs: Path
    env: dict[str, str] = field(default_factory=dict)
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL
    user: str | None = None
    ready: Callable[[], bool] = lambda: True
    echo: bool = False
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process is not None and self.process.poll() is None else None

    def start(self) -> None:
        """Start it; call this from a thread that lives as long as the child shall (the kernel watches the thread)."""
        self.logs.mkdir(parents=True, exist_ok=True)
        libc, death_signal = ctypes.CDLL(None), int(self.death_signal)
        self.process = subprocess.Popen(
            self.command,
            env=self.env or None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the supervisor, which stops its children in order
            user=self.user,
            group=self.user,
            extra_groups=[] if self.user else None,
            cwd="/" if self.user else None,
            preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, death_signal),
        )
        threading.Thread(target=self._relay, args=(self.process,), name=f"log-{self.name}", daemon=True).start()

    def wait_ready(self, seconds: float, *, stop: threading.Event | None = None) -> None:
        """Wait until it serves.

        Raises:
            StartFailed: it has ended, or is not ready after so many seconds.
            Stopped: `stop` was set meanwhile.
        """
        deadline = time.monotonic() + seconds
        while not self.ready():
            if stop is not None and stop.is_set():
                raise Stopped(self.name)
            if self.pid is None:
                raise StartFailed(f"{self.name} ended while starting:\n{self.last_output()}")
            if time.monotonic() > deadline:
                raise StartFailed(f"{self.name} is not ready after {seconds:.0f} s:\n{self.last_output()}")
            time.sleep(0.05)

    def stop(self, seconds: float = 15) -> None:
        """Ask it to end; kill it, and whatever it has started, when it has not after so many seconds."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
        self.process.wait()

    def kill(self) -> None:
        if self.process is None:
            return
        end_tree(self.process.pid)
        self.process.wait()

    def last_output(self) -> str:
        path = self.logs / f"{self.name}.log"
        return "\n".join(path.read_text(errors="replace").splitlines()[-15:]) if path.exists() else "(no output)"

    def _relay(self, process: "subprocess.Popen[bytes]") -> None:
        path = self.logs / f"{self.name}.log"
        assert process.stdout is not None
        for line in process.stdout:
            with suppress(OSError):  # on a full disk lines are lost, but who writes them does not wait for ever
                append(path, line)
            if self.echo:
                sys.stdout.write(f"{self.name:<11} {line.decode(errors='replace')}")
                sys.stdout.flush()
        process.stdout.close()


def append(path: Path, line: bytes) -> None:
    keep_short(path)
    with path.open("ab") as file:
        file.write(line)


def keep_short(log: Path) -> None:
    """Let a log that is long begin anew; the one before it is kept."""
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))


def end_tree(pid: int) -> None:
    """Kill a process and its descendants, trainers among them."""
    try:
        root = psutil.Process(pid)
        family = [*root.children(recursive=True), root]
    except psutil.NoSuchProcess:
        return
    for process in family:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(family, timeout=10)


def created_at(pid: int) -> float | None:
    """When that process was created (seconds since the epoch): with its id it names a process for ever.

    None for a zombie too: it has ended, and only its parent has not looked yet.
    """
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None


def is_same(pid: int, created: float) -> bool:
    """Whether the process that was created then still runs."""
    found = created_at(pid)
    return found is not None and abs(found - created) < 1
