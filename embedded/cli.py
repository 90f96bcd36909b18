"""`tunesmith-server`: the stack on one machine, and what operators do by hand."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from core.access import repository
from core.access import service as access
from core.db import make_engine, session_scope
from core.errors import NotFound
from core.logs import configure
from core.models import Project
from core.objects.doctor import WrongStore
from core.settings import get_settings
from core.storage import STORE_ERRORS
from embedded import stack
from embedded.doctor import consult
from embedded.process import StartFailed, end_tree, is_same, keep_short
from migrations import upgrade

app = typer.Typer(help="Run and operate Tunesmith.", no_args_is_help=True, add_completion=False)
keys = typer.Typer(help="API keys.", no_args_is_help=True)
app.add_typer(keys, name="keys")
projects = typer.Typer(
    help="Projects, each the owner of its files, jobs and models. Uses TUNESMITH_DATABASE_URL, else the stack of the "
    "data directory.",
    no_args_is_help=True,
)
app.add_typer(projects, name="projects")

DataDir = Annotated[Path, typer.Option("--data-dir", help="Everything the stack keeps.")]
DEFAULT = Path(".tunesmith")
MOST_PER_MINUTE = 60_000_000  # a request each microsecond, the counter's unit


@app.command()
def up(
    data_dir: DataDir = DEFAULT,
    port: Annotated[
        int | None, typer.Option(help="Of the API, else that of the last time, else 8000; the next free one if taken.")
    ] = None,
    dashboard_port: Annotated[
        int | None, typer.Option(help="Of the dashboard, else that of the last time, else 8080; likewise.")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Answer once it is ready, and leave it running.")] = False,
) -> None:
    """Start PostgreSQL, Valkey, SeaweedFS, the API, the workers, the reconciler and the dashboard on 127.0.0.1."""
    state = stack.read_state(data_dir)
    if state is not None:
        how = "up" if state["ready"] else "starting"
        typer.echo(f"already {how} at {state['url']} (data in {data_dir}); nothing changed")
        return
    try:
        stack.check_settings()
    except StartFailed as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    if detach:
        _up_detached(data_dir, port, dashboard_port)
        return
    configure(get_settings())
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    try:
        stack.up(data_dir, port=port, dashboard_port=dashboard_port, stop=stop, echo=sys.stdout.isatty())
    except stack.AlreadyUp:
        typer.echo(f"already starting or up (data in {data_dir}); nothing changed")
    except StartFailed as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


def _up_detached(data_dir: Path, port: int | None, dashboard_port: int | None) -> None:
    logs = data_dir / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    keep_short(logs / "supervisor.log")
    command = [sys.executable, "-m", "embedded", "up", "--data-dir", str(data_dir)]
    command += [] if port is None else ["--port", str(port)]
    command += [] if dashboard_port is None else ["--dashboard-port", str(dashboard_port)]
    with (logs / "supervisor.log").open("ab") as log:
        offset = log.tell()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    while (state := stack.read_state(data_dir)) is None or not state["ready"]:
        if process.poll() is not None:
            text = (logs / "supervisor.log").read_bytes()[offset:].decode(errors="replace")
            typer.echo(f"the stack did not come up:\n{text[-3000:]}", err=True)
            raise typer.Exit(1)
        time.sleep(0.1)
    typer.echo(f"up at {state['url']}, the dashboard at {state['dashboard_url']}")
    typer.echo(f"keys: {data_dir / 'env'}   logs: {logs}   stop: tunesmith-server down --data-dir {data_dir}")


@app.command()
def down(data_dir: DataDir = DEFAULT) -> None:
    """Stop exactly the stack of this data directory; its data stays."""
    state = stack.read_state(data_dir)
    if state is None:
        stack.end_leftovers(data_dir)
        typer.echo(f"nothing is up (data in {data_dir})")
        return
    os.kill(state["pid"], signal.SIGTERM)
    deadline = time.monotonic() + get_settings().drain_seconds + 90
    while is_same(state["pid"], state["created"]):
        if time.monotonic() > deadline:
            end_tree(state["pid"])
        time.sleep(0.1)
    stack.end_leftovers(data_dir)
    typer.echo(f"down (data stays in {data_dir})")


@app.command()
def status(data_dir: DataDir = DEFAULT) -> None:
    """Show the stack's processes. Exit status 3 where it is down."""
    state = stack.read_state(data_dir)
    if state is None:
        typer.echo(f"down (data in {data_dir})")
        raise typer.Exit(3)
    typer.echo(f"{state['url']}   supervisor pid {state['pid']}{'' if state['ready'] else '   starting'}")
    for name, child in state["children"].items():
        alive = "running" if is_same(child["pid"], child["created"]) else "restarting"
        typer.echo(f"{name:<14}{alive:<12}pid {child['pid']:<9}restarts {child['restarts']}")


@app.command()
def migrate() -> None:
    """Bring the database of TUNESMITH_DATABASE_URL up to date."""
    upgrade(get_settings().database_url)


@app.command()
def doctor(
    fix: Annotated[
        bool, typer.Option("--fix", help="Remove what is orphaned, mark rows whose objects are gone as unusable.")
    ] = False,
    data_dir: DataDir = DEFAULT,
) -> None:
    """Compare database and object store, both ways; read-only without --fix. Exit status 1 where something is amiss and
    stays so, 2 where one of the two does not answer.

    Uses TUNESMITH_DATABASE_URL and the store of the settings, else the stack of the data directory.
    """
    _use_stack(data_dir)
    try:
        healthy = consult(get_settings(), fix=fix)
    except (WrongStore, SQLAlchemyError, *STORE_ERRORS) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    raise typer.Exit(0 if healthy else 1)


def _checked_name(name: str | None) -> str | None:
    """It goes into lists and messages, a line each."""
    if name is not None and not (0 < len(name) <= 64 and name.isprintable() and name == name.strip()):
        raise typer.BadParameter(
            "a project's name has 1 to 64 characters, none of them invisible at its ends or inside"
        )
    return name


@keys.command("create")
def create_key(
    project: Annotated[
        str | None, typer.Option(help="Created where it does not exist yet.", callback=_checked_name)
    ] = None,
    operator: Annotated[bool, typer.Option("--operator", help="A key that sees every project.")] = False,
    name: Annotated[str, typer.Option(help="What the key is for.")] = "",
    data_dir: DataDir = DEFAULT,
) -> None:
    """Create an API key and print it, this once. Uses TUNESMITH_DATABASE_URL, else the stack of the data directory."""
    if operator == (project is not None):
        typer.echo("give either --project NAME or --operator", err=True)
        raise typer.Exit(2)
    with _database(data_dir) as session:
        organization = get_settings().organization_name
        owner = access.ensure_project(session, organization=organization, project=project) if project else None
        key = access.create_key(session, project_id=owner.id if owner else None, name=name)
    typer.echo(key)


@keys.command("list")
def list_keys(data_dir: DataDir = DEFAULT) -> None:
    """List the keys that are not revoked, the latest first: id, last characters, project, name."""
    with _database(data_dir) as session:
        for key, project in repository.keys(session):
            typer.echo(f"{key.id}  …{key.hint}  {project or 'operator':<20} {key.name}".rstrip())


@keys.command("revoke")
def revoke_key(
    key_id: Annotated[str, typer.Argument(help="As `keys list` tells it.")], data_dir: DataDir = DEFAULT
) -> None:
    """Take a key out of use, for good. Running processes follow within TUNESMITH_KEY_CACHE_SECONDS."""
    with _database(data_dir) as session:
        try:
            access.revoke_key(session, key_id=key_id)
        except NotFound as error:
            typer.echo(error.message, err=True)
            raise typer.Exit(1) from None
    typer.echo(f"{key_id} is revoked")


@projects.command("list")
def list_projects(data_dir: DataDir = DEFAULT) -> None:
    """List the projects, and how many requests a minute each may make."""
    with _database(data_dir) as session:
        for project in access.list_projects(session, organization=get_settings().organization_name):
            typer.echo(_described(project))


@projects.command("create")
def create_project(name: Annotated[str, typer.Argument(callback=_checked_name)], data_dir: DataDir = DEFAULT) -> None:
    """Create a project and show it; one that is there already stays as it is."""
    with _database(data_dir) as session:
        organization = get_settings().organization_name
        typer.echo(_described(access.ensure_project(session, organization=organization, project=name)))


@projects.command("set")
def set_project(
    name: Annotated[str, typer.Argument()],
    rate_limit_per_minute: Annotated[
        str, typer.Option(metavar="N|default", help="0: no limit. default: TUNESMITH_RATE_LIMIT_PER_MINUTE.")
    ],
    data_dir: DataDir = DEFAULT,
) -> None:
    """Change what a project may do. Running processes follow within TUNESMITH_KEY_CACHE_SECONDS."""
    per_minute = _per_minute(rate_limit_per_minute)
    with _database(data_dir) as session:
        try:
            project = access.set_rate_limit(
                session, organization=get_settings().organization_name, project=name, per_minute=per_minute
            )
        except NotFound as error:
            typer.echo(error.message, err=True)
            raise typer.Exit(1) from None
        typer.echo(_described(project))


def _per_minute(text: str) -> int | None:
    if text == "default":
        return None
    if not (text.isascii() and text.isdigit() and int(text) <= MOST_PER_MINUTE):
        raise typer.BadParameter(
            f"must be 0 to {MOST_PER_MINUTE} requests, or default; given {text!r}", param_hint="--rate-limit-per-minute"
        )
    return int(text)


def _described(project: Project) -> str:
    own, default = project.rate_limit_per_minute, get_settings().rate_limit_per_minute
    limit = default if own is None else own
    words = f"{limit or 'any number of'} requests a minute{' (default)' if own is None else ''}"
    return f"{project.id}  {project.name:<20} {words}"


@contextmanager
def _database(data_dir: Path) -> Iterator[Session]:
    """A transaction in the database of TUNESMITH_DATABASE_URL, else in that of the directory's stack."""
    _use_stack(data_dir)
    with session_scope(make_engine(get_settings())) as session:
        yield session


def _use_stack(data_dir: Path) -> None:
    """Without a database in the environment, take that of the directory's stack, and its store as far as it has one."""
    if "TUNESMITH_DATABASE_URL" in os.environ:
        return
    try:
        found = stack.environment(data_dir)
    except FileNotFoundError:
        message = f"there is no stack in {data_dir}, and TUNESMITH_DATABASE_URL is not set"
        raise typer.BadParameter(message, param_hint="--data-dir") from None
    if "TUNESMITH_S3_ENDPOINT_URL" in os.environ:
        found = {name: value for name, value in found.items() if not name.startswith("TUNESMITH_S3")}
    os.environ.update(found)


def main() -> None:
    app()
