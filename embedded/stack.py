"""The whole stack in one data directory: start it in order, keep it alive, stop it in order."""

import fcntl
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from pydantic import ValidationError
from yaml import YAMLError

from core.access import service as access
from core.db import make_engine, session_scope
from core.errors import NotAuthenticated
from core.registry.catalogue import load_catalogue
from core.settings import Settings, get_settings
from core.storage import Storage
from embedded.ports import first_free, is_free
from embedded.process import Child, StartFailed, Stopped, created_at, end_tree, is_same
from embedded.services import Services, postgres_url, prepare, store_settings, write_private
from migrations import upgrade
from worker.devices import slots

log = logging.getLogger("tunesmith")
DEFAULT_PORT = 8000
DASHBOARD_PORT = 8080
READY_SECONDS = 120
CALM_SECONDS = 60  # a child that has lived that long starts again without delay
LONGEST_BACK_OFF = 30.0
# Few heaps of malloc for the API's many threads: what uploads have used goes back to the system.
API_MALLOC = {"MALLOC_ARENA_MAX": "2"}
_DASHBOARD = "TUNESMITH_DASHBOARD_"


class AlreadyUp(Exception):
    """Another supervisor has this data directory."""


@dataclass
class Watch:
    """A child under supervision: how often it was restarted, and when it may start again."""

    child: Child
    started: float = 0.0
    restarts: int = 0
    back_off: float = 1.0
    not_before: float = 0.0


@dataclass(frozen=True)
class Addresses:
    """Where people find the stack."""

    port: int
    dashboard_port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def dashboard_url(self) -> str:
        return f"http://127.0.0.1:{self.dashboard_port}"


def up(
    data_dir: Path, *, port: int | None, dashboard_port: int | None = None, stop: threading.Event, echo: bool
) -> None:
    """Run the stack until `stop` is set, which may be while it starts.

    Args:
        port: of the API; null: that of the last time.
        dashboard_port: of the dashboard; null: that of the last time.

    Raises:
        AlreadyUp: it runs already; nothing was changed.
        StartFailed: something did not come up; everything was stopped again.
    """
    data_dir = data_dir.resolve()
    data_dir.mkdir(parents=True, exist_ok=True)
    with _lock(data_dir):
        end_leftovers(data_dir)
        chosen = choose_port(data_dir, "port", wanted=port, default=DEFAULT_PORT)
        shown = choose_port(data_dir, "dashboard-port", wanted=dashboard_port, default=DASHBOARD_PORT)
        at = Addresses(chosen, shown)
        started: list[Child] = []

        def start(children: list[Child]) -> None:
            for child in children:
                child.echo = echo
                child.start()
                started.append(child)
                _record(data_dir, started, at=at, ready=False)
            for child in children:
                child.wait_ready(READY_SECONDS, stop=stop)

        try:
            _record(data_dir, started, at=at, ready=False)  # from here on `down` finds us
            services = prepare(data_dir, given=dict(os.environ))
            start(services.children)
            own = _own_processes(data_dir, services, at)
            os.environ.update(own[0].env)
            get_settings.cache_clear()
            settings = get_settings()
            upgrade(settings.database_url)
            Storage(settings).ensure_bucket()
            _write_env(data_dir, settings, at)
            start(own)
            _record(data_dir, started, at=at, ready=True)
            log.info("ready on %s, the dashboard on %s", at.url, at.dashboard_url)
            _supervise(data_dir, started, at=at, stop=stop)
        except Stopped:
            log.info("asked to stop while starting")
        finally:
            _stop(started)
            (data_dir / "state.json").unlink(missing_ok=True)


def check_settings() -> None:
    """See, before anything starts, that there are the base models that the settings speak of.

    Raises:
        StartFailed: a setting, the catalogue, or an alias of one of its models is wrong.
    """
    try:
        settings = Settings()
    except ValidationError as error:
        faults = [f"TUNESMITH_{str(fault['loc'][0]).upper()}: {fault['msg']}" for fault in error.errors()]
        raise StartFailed(f"nothing was started: {'; '.join(faults)}") from None
    try:
        load_catalogue(settings.catalogue).with_aliases(settings.model_aliases)
    except (OSError, ValueError, YAMLError) as error:
        where = f"TUNESMITH_MODEL_ALIASES or the catalogue {settings.catalogue}"
        raise StartFailed(f"nothing was started: {where}: {error}") from None


@contextmanager
def _lock(data_dir: Path) -> Iterator[None]:
    with (data_dir / "lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyUp(str(data_dir)) from None
        yield


def read_state(data_dir: Path) -> dict[str, Any] | None:
    """What the supervisor of this directory has recorded; None where it is not alive."""
    try:
        state = json.loads((data_dir / "state.json").read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return state if is_same(state["pid"], state["created"]) else None


def environment(data_dir: Path) -> dict[str, str]:
    """Where the directory's own PostgreSQL and SeaweedFS are, as settings."""
    kept = json.loads((data_dir / "secrets.json").read_text())
    return {"TUNESMITH_DATABASE_URL": postgres_url(kept), **store_settings(kept)}


def end_leftovers(data_dir: Path) -> None:
    """End what an earlier supervisor of this directory has left alive, by id and time of creation."""
    try:
        state = json.loads((data_dir / "state.json").read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return
    for name, child in state["children"].items():
        if is_same(child["pid"], child["created"]):
            log.warning("ending %s (pid %d), which an earlier stack has left", name, child["pid"])
            end_tree(child["pid"])
    (data_dir / "state.json").unlink(missing_ok=True)


def choose_port(data_dir: Path, name: str, *, wanted: int | None, default: int) -> int:
    """The wanted one, else that of the last time (clients have it in their settings), where that is free.

    name: of the file that keeps it.
    """
    last = data_dir / name
    before = int(last.read_text()) if last.exists() else None
    if before is not None and is_free(before) and not (wanted and is_free(wanted)):
        return before
    port = first_free(wanted or default)
    last.write_text(str(port))
    return port


def _own_processes(data_dir: Path, services: Services, at: Addresses) -> list[Child]:
    work_dir = data_dir / "work"
    env = {**os.environ, **services.env, "TUNESMITH_WORK_DIR": str(work_dir), "PYTHONUNBUFFERED": "1"}
    python = sys.executable
    settings = Settings(work_dir=work_dir)
    celery = [python, "-m", "celery", "--quiet", "-A", "worker.app", "worker"]
    celery += ["--pool", "threads", "--loglevel", "info"]
    uvicorn = ["uvicorn", "api.main:app", "--host", "127.0.0.1", "--port", str(at.port), "--no-access-log"]
    commands = {
        "api": [python, "-m", *uvicorn],
        "reconciler": [python, "-m", "worker.reconciler"],
        "worker-cpu": [*celery, "-Q", "cpu", "--concurrency", "1", "-n", "cpu@%h"],
        "worker-train": [*celery, "-Q", "train", "--concurrency", str(slots(settings)), "-n", "train@%h"],
    }
    logs = data_dir / "logs"
    children = [Child(name=name, command=command, logs=logs, env=env) for name, command in commands.items()]
    api = children[0]
    api.ready = lambda: _responds(f"{at.url}/healthz")
    api.env = env | API_MALLOC
    return [*children, _dashboard(at, logs)]


def _dashboard(at: Addresses, logs: Path) -> Child:
    """A client of the API: it is given no secret of ours."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("TUNESMITH_") or _DASHBOARD in name}
    env |= {
        f"{_DASHBOARD}API_URL": f"{at.url}/v1",
        f"{_DASHBOARD}HOST": "127.0.0.1",
        f"{_DASHBOARD}PORT": str(at.dashboard_port),
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, "-m", "dashboard"]
    return Child("dashboard", command, logs, env, ready=lambda: _responds(f"{at.dashboard_url}/healthz"))


def _responds(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def _write_env(data_dir: Path, settings: Settings, at: Addresses) -> None:
    """Write D/env: where the API is, and keys for it. Keys are made once; only their hashes are in the database."""
    path = data_dir / "env"
    known = dict(line.split("=", 1) for line in path.read_text().splitlines()) if path.exists() else {}
    engine = make_engine(settings)
    with session_scope(engine) as session:
        project = access.ensure_project(session, organization=settings.organization_name, project="default")
        for name, project_id in (("TUNESMITH_API_KEY", project.id), ("TUNESMITH_OPERATOR_KEY", None)):
            try:
                access.authenticate(session, key=known.get(name))
            except NotAuthenticated:
                known[name] = access.create_key(session, project_id=project_id, name="tunesmith-server up")
    engine.dispose()
    known |= {"TUNESMITH_BASE_URL": f"{at.url}/v1", "TUNESMITH_DASHBOARD_URL": at.dashboard_url}
    write_private(path, "".join(f"{key}={value}\n" for key, value in sorted(known.items())))


def _record(data_dir: Path, children: list[Child], *, at: Addresses, ready: bool, restarts: Any = None) -> None:
    alive = {child.name: child.pid for child in children if child.pid is not None}
    state = {
        "pid": os.getpid(),
        "created": created_at(os.getpid()),
        "ready": ready,
        "url": at.url,
        "dashboard_url": at.dashboard_url,
        "children": {
            name: {"pid": pid, "created": created_at(pid), "restarts": (restarts or {}).get(name, 0)}
            for name, pid in alive.items()
        },
    }
    write_private(data_dir / "state.json", json.dumps(state, indent=1))


def _supervise(data_dir: Path, children: list[Child], *, at: Addresses, stop: threading.Event) -> None:
    """Restart what dies, after 1 s, 2 s, 4 s … as long as it goes on dying."""
    watches = [Watch(child, started=time.monotonic()) for child in children]
    while not stop.wait(0.25):
        now = time.monotonic()
        changed = False
        for watch in watches:
            if watch.child.pid is not None:
                continue
            if watch.not_before == 0.0:
                if now - watch.started > CALM_SECONDS:
                    watch.back_off = 1.0
                watch.not_before = now + watch.back_off
                log.warning("%s has died; it starts again in %.0f s", watch.child.name, watch.back_off)
                watch.back_off = min(watch.back_off * 2, LONGEST_BACK_OFF)
            elif now >= watch.not_before:
                watch.child.start()
                watch.started, watch.not_before = now, 0.0
                watch.restarts += 1
                changed = True
        if changed:
            restarts = {watch.child.name: watch.restarts for watch in watches}
            try:
                _record(data_dir, children, at=at, ready=True, restarts=restarts)
            except OSError as error:  # a full disk is no reason to stop what runs
                log.warning("the state of the stack could not be written: %s", error)


def _stop(children: list[Child]) -> None:
    """Workers first, which drain; then the API; last the services that all of them need."""
    for child in children:
        if child.name.startswith("worker") and child.pid is not None and child.process is not None:
            child.process.send_signal(signal.SIGTERM)
    drain = get_settings().drain_seconds + 15
    for child in reversed(children):
        child.stop(drain if child.name.startswith("worker") else 15)
