"""The whole stack: services behind proxies, two API replicas behind a balancer, two workers that train."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from core.access.service import create_key, ensure_project
from core.db import make_engine, session_scope
from core.settings import Settings
from core.storage import Storage
from embedded.ports import free_ports
from embedded.process import Child
from embedded.services import Services, run_services
from migrations import upgrade
from tests.chaos.history import History
from tests.chaos.proxy import Proxy, Trouble
from tests.chaos.witness import Witness, trainers
from tests.stack import responds

ROOT = Path(__file__).parent.parent.parent
LEASE = 5.0  # seconds
STORE_TIMEOUT = 2.0  # seconds
PATIENCE = 180.0  # seconds that a wait may last on a slow machine
APIS = ("api-1", "api-2")
TRAINERS = ("train-1", "train-2")
NAMES = (*APIS, "reconciler", "cpu", *TRAINERS)
CELERY = ["-A", "worker.app", "worker", "--pool", "threads", "-c", "1", "-l", "info"]
# The steps of this attempt: jobs.step is still that of the attempt before while a new one starts.
RUNNING = """
    SELECT j.id AS job, j.token, split_part(j.worker_id, '@', 1) AS worker, j.spec->'metadata'->>'method' AS method,
           coalesce((SELECT max(step) FROM metrics m WHERE m.job_id = j.id AND m.token = j.token), 0) AS step, j.faults
    FROM jobs j WHERE j.token IS NOT NULL ORDER BY j.token
"""
SEEN = "SELECT 1 FROM workers WHERE starts_with(id, %s) AND last_seen > to_timestamp(%s)"
HELD = "SELECT token FROM jobs WHERE token IS NOT NULL"
Value = TypeVar("Value")


@dataclass(frozen=True)
class Running:
    """An attempt that holds its job now and whose trainer is alive, and the worker that runs it.

    method: one of METHODS; None of a job that none of our users has made. faults: how many the job has had.
    """

    job: str
    token: int
    worker: str
    method: str | None
    step: int
    faults: int


@dataclass
class Cluster:
    """The processes by name, and the proxies between them.

    balancer: before the API replicas. store: before SeaweedFS. database: before PostgreSQL, for all but one worker;
    lonely: before PostgreSQL for train-1 alone. resting: what is down on purpose. run: what the present round's work is
    named after. fault: what injuries are counted for. wanted: the methods that a fault waits for, now and next.
    """

    folder: Path
    services: Services
    witness: Witness
    ports: dict[str, int]
    balancer: Proxy
    store: Proxy
    database: Proxy
    lonely: Proxy
    key: str
    history: History
    children: dict[str, Child] = field(default_factory=dict)
    resting: set[str] = field(default_factory=set)
    run: str = ""
    fault: int = 0
    wanted: Sequence[str] = ()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.balancer.port}/v1"

    def start(self, name: str, *, through: Sequence[str] = (), planted: str | None = None) -> None:
        """Start a process of that name, in the place of one that has ended.

        Args:
            through: a command that runs it, such as one that sets its clock.
            planted: a bug of `tests.chaos.plants` that it is to have.
        """
        celery = ["-m", "tests.chaos.plants", planted] if planted else ["-m", "celery"]
        queue = name.partition("-")[0]
        commands = {
            "api": ["-m", "uvicorn", "api.main:app", "--port", str(self.ports.get(name)), "--no-access-log"],
            "reconciler": ["-m", "worker.reconciler"],
            "cpu": [*celery, *CELERY, "-Q", queue, "-n", f"{name}@chaos"],
            "train": [*celery, *CELERY, "-Q", queue, "-n", f"{name}@chaos"],
        }
        child = Child(
            name=name,
            command=[*through, sys.executable, *commands[queue]],
            logs=self.folder / "logs",
            env=self._environment(name),
        )
        child.start()
        self.children[name] = child
        self.resting.discard(name)

    def _environment(self, name: str) -> dict[str, str]:
        proxy = self.lonely if name == "train-1" else self.database
        database = self.services.env["TUNESMITH_DATABASE_URL"]
        return {
            **{key: value for key, value in os.environ.items() if not key.startswith("TUNESMITH_")},
            **self.services.env,
            "TUNESMITH_DATABASE_URL": f"{_through(database, proxy)}?application_name={name}",  # for the audit
            "TUNESMITH_S3_ENDPOINT_URL": _through(self.services.env["TUNESMITH_S3_ENDPOINT_URL"], self.store),
            "TUNESMITH_WORK_DIR": str(self.work_dir(name)),
            "TUNESMITH_S3_TIMEOUT_SECONDS": str(STORE_TIMEOUT),
            "TUNESMITH_LEASE_SECONDS": str(LEASE),
            "TUNESMITH_POLL_SECONDS": "1",
            "TUNESMITH_TRAINER_THREADS": "1",
            "TUNESMITH_RATE_LIMIT_PER_MINUTE": "0",
            "TUNESMITH_DISK_RESERVE_BYTES": str(8 * 1024**2),  # of DISK_MEGABYTES at the smallest
            "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
            "PYTHONWARNINGS": "ignore",
        }

    def work_dir(self, name: str) -> Path:
        return self.folder / "work" / name

    def remains(self) -> list[str]:
        """The run directories of trainers and validations that are on the workers' disks now."""
        kinds = {"runs": TRAINERS, "validations": ("cpu",)}
        found = (
            path for kind, names in kinds.items() for name in names for path in self.work_dir(name).glob(f"{kind}/*")
        )
        return sorted(path.relative_to(self.folder).as_posix() for path in found)

    def send(self, name: str, number: signal.Signals) -> None:
        process = self.children[name].process
        assert process is not None
        process.send_signal(number)

    def kill(self, name: str) -> None:
        """kill -9 of that one process and of nothing else; it stays down until it is started."""
        self._note_end(name)
        self.resting.add(name)
        self.send(name, signal.SIGKILL)
        process = self.children[name].process
        assert process is not None
        process.wait()

    def stop(self, name: str) -> None:
        """Ask it to leave, and wait until it has; it stays down until it is started."""
        self._note_end(name)
        self.resting.add(name)
        self.children[name].stop(PATIENCE)

    def kill_trainer(self, token: int) -> None:
        self.signal_trainer(token, signal.SIGKILL)

    def signal_trainer(self, token: int, number: signal.Signals) -> None:
        for trainer in trainers():
            if trainer.token == token:
                try:
                    os.kill(trainer.pid, number)
                except ProcessLookupError:
                    continue

    def workers(self) -> dict[str, int]:
        """The process ids of the train workers that are alive."""
        found = {name: child.pid for name, child in list(self.children.items()) if name in TRAINERS}
        return {name: pid for name, pid in found.items() if pid is not None}

    def running(self) -> list[Running]:
        alive = {trainer.token for trainer in trainers()}
        return [Running(**row) for row in self.witness.rows(RUNNING) if row["token"] in alive]

    def holds(self, token: int) -> bool:
        """Whether that attempt, be its trainer alive or not, holds its job."""
        return token in {row["token"] for row in self.witness.rows(HELD)}

    def is_uploading(self, token: int | None, folder: str) -> bool:
        """Whether that attempt is sending the store something below that folder of its own at this very moment."""
        path = f"/attempts/{token}/{folder}/".encode()
        return any(request.startswith(b"PUT ") and path in request for request in self.store.open_requests)

    def mend(self) -> None:
        """Start again what has died, as its supervisor would."""
        for name in list(self.children):
            if self._note_end(name):
                self.start(name)

    def _note_end(self, name: str) -> bool:
        """Whether it is down and nobody has asked for that, which is recorded."""
        child = self.children[name]
        if child.pid is not None or child.process is None or name in self.resting:
            return False
        how = f"ended by itself, with status {child.process.returncode}"
        self.history.add("died", name=name, fault=self.fault, how=how)
        return True

    def wait(self, look: Callable[[], Value], *, what: str, pause: float = 0.05) -> Value:
        """The first true value that `look` answers. Whatever dies meanwhile is started again.

        Raises:
            TimeoutError: there is none within PATIENCE.
        """
        deadline = time.monotonic() + PATIENCE
        while not (value := look()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not within {PATIENCE:.0f} s: {what}")
            self.mend()
            time.sleep(pause)
        return value

    def last(self, seconds: float) -> None:
        """Let a trouble last."""
        until = time.monotonic() + seconds
        self.wait(lambda: time.monotonic() > until, what="the end of a trouble")

    def heal(self) -> None:
        """Let everything pass."""
        for proxy in (self.balancer, self.store, self.database, self.lonely):
            proxy.trouble = None

    @contextmanager
    def injury(self, what: str, **facts: Any) -> Iterator[None]:
        """What is done in the block is recorded as one injury; at its end everything is well again."""
        began = time.time()
        try:
            yield
        finally:
            self.heal()
            self.history.add("injury", fault=self.fault, what=what, began=began, **facts)

    @contextmanager
    def trouble(self, proxy: Proxy, trouble: Trouble, *, what: str) -> Iterator[None]:
        with self.injury(what):
            proxy.trouble = trouble
            yield

    def end(self) -> None:
        for child in self.children.values():
            child.kill()

    def is_ready(self) -> bool:
        return all(responds(f"http://127.0.0.1:{self.ports[name]}/readyz") for name in APIS)


def _through(url: str, proxy: Proxy) -> str:
    return url.replace(f":{_port(url)}", f":{proxy.port}")


def _make_key(services: Services) -> str:
    """Bring database and store up to date; answers the key of a project."""
    values: dict[str, Any] = {key.removeprefix("TUNESMITH_").lower(): text for key, text in services.env.items()}
    settings = Settings(**values)
    upgrade(settings.database_url)
    Storage(settings).ensure_bucket()
    engine = make_engine(settings)
    with session_scope(engine) as session:
        project = ensure_project(session, organization="tunesmith", project="chaos")
        key = create_key(session, project_id=project.id, name="chaos")
    engine.dispose()
    return key


@contextmanager
def run_cluster(folder: Path, *, seed: int) -> Iterator[Cluster]:
    """Everything, started; it is stopped at the end of the block."""
    with ExitStack() as stack:
        # Durable: PostgreSQL is going to crash, and what it has acknowledged must be there afterwards.
        services = stack.enter_context(run_services(folder / "services", durable=True))
        key = _make_key(services)
        witness = stack.enter_context(closing(Witness(services)))
        witness.install()

        def proxy(*targets: int, http: bool) -> Proxy:
            made = Proxy(*targets, http=http, seed=seed)
            made.start()
            stack.callback(made.stop)
            return made

        ports = dict(zip(APIS, free_ports(len(APIS)), strict=True))
        store, database = (_port(services.env[f"TUNESMITH_{name}"]) for name in ("S3_ENDPOINT_URL", "DATABASE_URL"))
        cluster = Cluster(
            folder=folder,
            services=services,
            witness=witness,
            ports=ports,
            balancer=proxy(*ports.values(), http=True),
            store=proxy(store, http=True),
            database=proxy(database, http=False),
            lonely=proxy(database, http=False),
            key=key,
            history=stack.enter_context(closing(History(folder / "start.jsonl"))),
        )
        stack.callback(cluster.end)
        for name in NAMES:
            cluster.start(name)
        cluster.wait(cluster.is_ready, what="both replicas of the API")
        yield cluster


def _port(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


def small_disk(folder: Path, megabytes: int) -> list[str] | None:
    """A command that runs another one with a disk of that size at `folder`; None where that is not allowed here.

    The disk is seen by that program and its children only, and goes with them.
    """
    unshare = [shutil.which("unshare") or "unshare", *([] if os.geteuid() == 0 else ["--map-root-user"]), "--mount"]
    mount = f"mount -t tmpfs -o size={megabytes}m tunesmith-chaos '{folder}'"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        tried = subprocess.run([*unshare, "sh", "-c", mount], capture_output=True, check=False)
    except FileNotFoundError:
        return None
    return [*unshare, "sh", "-c", f'{mount} && exec "$@"', "small-disk"] if tried.returncode == 0 else None


def other_clock(offset: str) -> list[str] | None:
    """A command that runs another one with its clock that much off ("+2h"); None where faketime is not installed.

    The program `faketime` would stay as the parent of what it runs, and be ended in its place. The monotonic clock is
    right, as on a machine whose time is wrong: with that off, too, no wait of Python's that has a timeout ends.
    """
    found = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    if found is None:
        return None
    return ["env", f"LD_PRELOAD={found}", f"FAKETIME={offset}", "FAKETIME_DONT_FAKE_MONOTONIC=1"]
