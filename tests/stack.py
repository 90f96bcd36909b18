"""A whole stack for tests that kill things: our processes, each as its own, on the suite's services."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import httpx
import psutil
import yaml

from core.registry.catalogue import load_catalogue
from core.settings import PACKAGED_CATALOGUE
from embedded.ports import free_ports
from embedded.process import Child
from embedded.services import Services

LEASE = 4  # seconds
Value = TypeVar("Value")


@dataclass
class Stack:
    folder: Path
    env: dict[str, str]
    url: str
    children: dict[str, Child] = field(default_factory=dict)

    def start(self, name: str, **env: str) -> None:
        """Start one process; `env` wins over the stack's."""
        python, celery = sys.executable, ["-m", "celery", "-A", "worker.app", "worker", "--pool", "threads"]
        commands = {
            "api": ["-m", "uvicorn", "api.main:app", "--port", self.url.rpartition(":")[2], "--no-access-log"],
            "reconciler": ["-m", "worker.reconciler"],
            "cpu": [*celery, "-Q", "cpu", "-c", "1", "-n", "cpu@test", "-l", "info"],
            "train": [*celery, "-Q", "train", "-c", "1", "-n", "train@test", "-l", "info"],
        }
        child = Child(name=name, command=[python, *commands[name]], logs=self.folder / "logs", env=self.env | env)
        if name == "api":
            child.ready = lambda: responds(f"{self.url}/readyz")
        child.start()
        child.wait_ready(60)
        self.children[name] = child

    def kill(self, name: str) -> None:
        """kill -9 of that one process and of nothing else."""
        process = self.children[name].process
        assert process is not None
        process.send_signal(signal.SIGKILL)
        process.wait()

    def prepared(self, model: str) -> Path:
        """The folder in the worker's cache that a model of the catalogue was prepared in."""
        entry = load_catalogue(Path(self.env["TUNESMITH_CATALOGUE"])).find(model)
        assert entry is not None
        return self.folder / "work" / "cache" / "models" / entry.source.key

    def trainers(self) -> list[psutil.Process]:
        """Forked trainers: leaders of their own sessions below the train worker's forkserver, wherever that is now."""
        folder, found = str(self.folder / "work" / "runs"), []
        for process in psutil.process_iter():
            try:
                opened = [file.path for file in process.open_files()]
            except psutil.Error:
                continue
            if any(path.startswith(folder) and path.endswith("log.txt") for path in opened):
                found.append(process)
        return found


def write_catalogue(folder: Path) -> Path:
    """Ours, and the tiny model from other places, which a test has to fill first; but for one, which stays empty."""
    entries = yaml.safe_load(PACKAGED_CATALOGUE.read_text())
    for name, source in (
        ("tiny-from-folder", f"{folder}/models/tiny"),
        ("tiny-from-store", "s3://tunesmith/models/tiny"),
        ("tiny-from-nowhere", f"{folder}/models/nowhere"),
    ):
        entries["models"].append(
            {"id": name, "public_id": f"tests/{name}", "source": source, "aliases": [f"{name}-alias"]}
        )
    path = folder / "catalogue.yaml"
    path.write_text(yaml.safe_dump(entries))
    return path


@contextmanager
def run_stack(services: Services, folder: Path) -> Iterator[Stack]:
    port = free_ports(1)[0]
    env = {
        **{key: value for key, value in os.environ.items() if not key.startswith("TUNESMITH_")},
        **services.env,
        "TUNESMITH_CATALOGUE": str(write_catalogue(folder)),
        "TUNESMITH_MODEL_ALIASES": "gpt-4.1-mini-2025-04-14=tiny-random-llama",
        "TUNESMITH_WORK_DIR": str(folder / "work"),
        "TUNESMITH_LEASE_SECONDS": str(LEASE),
        "TUNESMITH_POLL_SECONDS": "0.5",
        "TUNESMITH_TRAINER_THREADS": "1",
        "PYTHONWARNINGS": "ignore",
    }
    stack = Stack(folder, env, f"http://127.0.0.1:{port}")
    try:
        for name in ("api", "reconciler", "cpu", "train"):
            stack.start(name)
        yield stack
    finally:
        for child in stack.children.values():
            child.stop(20)


def responds(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def eventually(look: Callable[[], Value], *, seconds: float, what: str) -> Value:
    """The first true value that `look` answers; fails the test when there is none in so many seconds."""
    deadline = time.monotonic() + seconds
    while not (value := look()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)
    return value
