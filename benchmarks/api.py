"""`python -m benchmarks.api`: requests a second beside a bare handler; listing 20 of 1,000,000 jobs beside 1,000."""

import itertools
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from sqlalchemy import Engine, create_engine, text

from benchmarks import load
from benchmarks.asked import at_least, at_most
from benchmarks.pairs import Ratio, in_turns, ratio
from core.access.owner import Owner
from core.access.service import authenticate, create_key, ensure_project
from core.db import make_engine, session_scope
from core.files import service as files
from core.jobs import service as jobs
from core.registry.catalogue import load_catalogue
from core.settings import PACKAGED_CATALOGUE, Settings
from core.specs.job import JobSpec
from core.storage import Entry
from embedded.ports import free_ports
from embedded.process import Child
from embedded.services import Services, run_services
from embedded.stack import API_MALLOC
from migrations import upgrade

CONNECTIONS = 8
SECONDS = 4.0
PAIRS = 5
FEW, MANY = 1_000, 1_000_000


@dataclass(frozen=True)
class Database:
    """A migrated database with one project, its key, a usable file and so many jobs."""

    url: str
    key: str
    owner: Owner
    file_id: str
    job_id: str


def make_database(services: Services, name: str, *, count: int) -> Database:
    server = services.env["TUNESMITH_DATABASE_URL"].rpartition("/")[0]
    admin = create_engine(f"{server}/postgres", isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    admin.dispose()
    url = f"{server}/{name}"
    upgrade(url)
    engine = make_engine(Settings(database_url=url))
    with session_scope(engine) as session:
        project = ensure_project(session, organization="bench", project="bench")
        key = create_key(session, project_id=project.id, name="bench")
        session.flush()
        owner = authenticate(session, key=key)
        stored = Entry("rows.jsonl", 1, "0" * 64)
        file = files.create(
            session, owner=owner, file_id="file-bench", filename="rows.jsonl", purpose="fine-tune", stored=stored,
            object_key="bench",
        )  # fmt: skip
        file.status = "processed"
        session.flush()
        spec, catalogue = JobSpec(model="tiny-random-llama", training_file=file.id), load_catalogue(PACKAGED_CATALOGUE)
        job = jobs.create(session, owner=owner, catalogue=catalogue, spec=spec, known={})
        made = Database(url, key, owner, file.id, job.id)
    _multiply_jobs(engine, made, count=count)
    engine.dispose()
    return made


def _multiply_jobs(engine: Engine, made: Database, *, count: int) -> None:
    """Copies of the one job, a second apart in the past, all of them ended."""
    changed = {
        "id": "'ftjob-' || lpad(n::text, 24, '0')",
        "created_at": "created_at - make_interval(secs => n)",
        "status": "'cancelled'",
        "finished_at": "created_at",
    }
    multiply(engine, "jobs", changed, count=count - 1)


def multiply(engine: Engine, table: str, changed: dict[str, str], *, count: int) -> None:
    """Copies of a table's one row. changed: SQL for columns that are not as in that row; `n` counts them."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        stored = f"table_name = '{table}' AND is_generated = 'NEVER'"
        names = connection.execute(text(f"SELECT column_name FROM information_schema.columns WHERE {stored}")).scalars()
        columns = sorted(names)
        values = ", ".join(changed.get(name, name) for name in columns)
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(
            text(
                f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM {table}, generate_series(1, :count) n"
            ),
            {"count": count},
        )
        connection.execute(text(f"VACUUM ANALYZE {table}"))


@contextmanager
def served(app: str, services: Services, database: Database, folder: Path) -> Iterator[int]:
    """One uvicorn process of that application; yields its port."""
    port = free_ports(1)[0]
    env = {
        **os.environ,
        **services.env,
        **API_MALLOC,
        "TUNESMITH_DATABASE_URL": database.url,
        "TUNESMITH_RATE_LIMIT_PER_MINUTE": str(10**9),
        "BARE_KEY_ID": database.owner.key_id,
        "BARE_PROJECT_ID": str(database.owner.project_id),
    }
    command = [sys.executable, "-m", "uvicorn", app, "--port", str(port), "--no-access-log", "--log-level", "warning"]
    child = Child(name=app, command=command, logs=folder, env=env, ready=lambda: _answers(port))
    child.start()
    try:
        child.wait_ready(60)
        yield port
    finally:
        child.stop()


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz").status_code in (200, 404)
    except httpx.TransportError:
        return False


def measure(port: int, request: Callable[[], bytes]) -> Callable[[], load.Load]:
    return lambda: load.run(port, request, connections=CONNECTIONS, seconds=SECONDS)


def compare(title: str, one: Callable[[], load.Load], other: Callable[[], load.Load], *, names: str) -> Ratio:
    """Print rates, 99th percentiles and the ratio of rates, first over second.

    Raises:
        AssertionError: a server answered with 500 or above.
    """
    measured = in_turns(one, other, pairs=PAIRS)
    print(f"\n{title}: {names}")
    for pair in measured:
        print("   ".join(f"{run.rate:7.0f}/s p99 {run.quantile(0.99) * 1000:6.1f} ms" for run in pair))
    rates = ratio([(a.rate, b.rate) for a, b in measured])
    p99 = ratio([(a.quantile(0.99), b.quantile(0.99)) for a, b in measured])
    statuses = [dict(sum((run.statuses for run in runs), start=load.Counter())) for runs in zip(*measured, strict=True)]
    print(f"ratio of rates {rates}, of p99 {p99}   answers by status {statuses}")
    assert not any(run.failures for pair in measured for run in pair)
    return rates


def main() -> int:
    reached: list[bool] = []
    with tempfile.TemporaryDirectory() as temporary, run_services(Path(temporary)) as services:
        folder = Path(temporary) / "logs"
        few = make_database(services, "few", count=FEW)
        print(f"{CONNECTIONS} connections, {PAIRS} pairs of {SECONDS:.0f} s, one uvicorn process each")
        with (
            served("api.main:app", services, few, folder) as ours,
            served("benchmarks.bare:app", services, few, folder) as bare,
        ):
            number = itertools.count()
            requests = {
                "GET job": lambda: load.http("GET", f"/v1/fine_tuning/jobs/{few.job_id}", key=few.key),
                "POST job": lambda: load.http("POST", "/v1/fine_tuning/jobs", key=few.key, body=_body(few, number)),
            }
            for title, request in requests.items():
                rates = compare(title, measure(ours, request), measure(bare, request), names="ours, bare handler")
                reached.append(at_least(f"{title}, ours / bare", rates.median, 0.8))
        fresh, many = make_database(services, "fresh", count=FEW), make_database(services, "many", count=MANY)
        with (
            served("api.main:app", services, many, folder) as large,
            served("api.main:app", services, fresh, folder) as small,
        ):
            lists = {"list 20 jobs": "limit=20", "list the jobs with metadata that none has": "metadata[n]=none"}
            for title, query in lists.items():
                path = f"/v1/fine_tuning/jobs?{query}"
                one = measure(small, lambda path=path: load.http("GET", path, key=fresh.key))
                other = measure(large, lambda path=path: load.http("GET", path, key=many.key))
                # Rates of small over large are latencies of large over small.
                times = compare(title, one, other, names=f"of {FEW:,}, of {MANY:,}")
                reached.append(at_most(f"time for {MANY:,} / for {FEW:,}", times.median, 1.5))
    return 0 if all(reached) else 1


def _body(database: Database, number: Iterator[int]) -> bytes:
    body = JobSpec(model="tiny-random-llama", training_file=database.file_id, metadata={"n": str(next(number))})
    return body.model_dump_json(include={"model", "training_file", "metadata"}).encode()


if __name__ == "__main__":
    sys.exit(main())
