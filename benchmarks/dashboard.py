"""`python -m benchmarks.dashboard`: seconds until each page of the dashboard shows its contents, with 100,000 jobs.

`--keep` leaves it running to look at, and prints where and with which key.
"""

import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from playwright.sync_api import Page, sync_playwright
from sqlalchemy import create_engine, text

from benchmarks.api import Database, make_database, multiply, served
from benchmarks.asked import at_most
from core.access.service import create_key
from core.db import make_engine, session_scope
from core.settings import Settings
from embedded.ports import free_ports
from embedded.process import Child
from embedded.services import run_services

JOBS, RUNNING, STEPS, FILES = 100_000, 50, 2_000, 10_000
LOADS = 5  # of each page; the first one after the start is left out
LONGEST = 1.0  # seconds
# It listens, and what it shows of charts is there.
DRAWN = """() => window.socket?.connected && [...document.querySelectorAll(".nicegui-echart")].every(
  (chart) => !chart.offsetParent || chart.querySelector("canvas, svg"))"""
# Of every hundred jobs some have failed; fifty run, each with so many steps measured.
SEEDING = (
    """UPDATE jobs SET status = 'failed',
       error = jsonb_build_object('code', 'out_of_memory', 'message', 'no memory left')
       WHERE right(id, 2) = '07'""",
    """UPDATE jobs SET status = 'succeeded', started_at = created_at, step = 100, total_steps = 100
       WHERE right(id, 1) IN ('1', '2', '3')""",
    """INSERT INTO models (id, created_at, project_id, name, job_id, base_model, weights, prefix, manifest)
       SELECT 'model-' || id, finished_at, project_id, 'ft:' || model || ':bench::' || id, id, base_model, 'adapter',
       'models/' || id, '[]' FROM jobs WHERE status = 'succeeded'""",
    """WITH chosen AS (SELECT id, row_number() OVER (ORDER BY created_at DESC) n FROM jobs LIMIT :running)
       UPDATE jobs SET status = 'running', token = 1000000 + n, lease_expires_at = now() + interval '1 day',
       started_at = now(), finished_at = NULL, step = :steps, total_steps = 3 * :steps
       FROM chosen WHERE chosen.id = jobs.id""",
    """INSERT INTO attempts (token, job_id, worker_id, started_at, ended_at, outcome, gpu_seconds, cpu_seconds)
       SELECT coalesce(token, row_number() OVER ()), id, 'bench', started_at, finished_at,
       CASE WHEN finished_at IS NULL THEN NULL ELSE status END, 60, 60 FROM jobs WHERE started_at IS NOT NULL""",
    """INSERT INTO metrics (job_id, step, token, data)
       SELECT id, n, token, jsonb_build_object('train_loss', 4 / sqrt(n), 'valid_loss', 5 / sqrt(n),
       'learning_rate', 0.001, 'grad_norm', random(), 'tokens_per_second', 100 + random())
       FROM jobs, generate_series(1, :steps) n WHERE status = 'running'""",
    """INSERT INTO events (job_id, seq, id, level, type, message)
       SELECT jobs.id, n + 1000, 'ftevent-' || jobs.id || n, 'info', 'message', 'something happened'
       FROM jobs, generate_series(1, 200) n WHERE status = 'running'""",
    "ANALYZE",
)


def seed(database: Database) -> tuple[str, str]:
    """Make the jobs look like a busy day; answers the ids of two that run."""
    engine = create_engine(database.url, isolation_level="AUTOCOMMIT")
    earlier = {"id": "'file-' || lpad(n::text, 24, '0')", "created_at": "created_at - make_interval(secs => n)"}
    multiply(engine, "files", earlier, count=FILES - 1)
    with engine.connect() as connection:
        connection.execute(text("SET statement_timeout = 0"))
        for statement in SEEDING:
            connection.execute(text(statement), {"running": RUNNING, "steps": STEPS} if ":" in statement else {})
        first, second = connection.execute(
            text("SELECT id FROM jobs WHERE status = 'running' ORDER BY id LIMIT 2")
        ).scalars()
    engine.dispose()
    return first, second


def pages(job_id: str, other_id: str) -> dict[str, str]:
    """Paths by names."""
    return {
        "overview": "/",
        "jobs": "/jobs",
        "jobs that failed": "/jobs?status=failed",
        "jobs, searched, none found": "/jobs?search=nothing-has-this",
        "jobs of a method": "/jobs?method=dpo",
        "jobs of a model": "/jobs?model=tiny-random-llama",
        "jobs by metadata, none found": "/jobs?metadata=team%3Dnobody",
        "job": f"/jobs/{job_id}",
        "results": f"/jobs/{job_id}/results",
        "lineage": f"/jobs/{job_id}/lineage",
        "spec": f"/jobs/{job_id}/spec",
        "log": f"/jobs/{job_id}/log",
        "compare": f"/compare?jobs={job_id},{other_id}",
        "new job": f"/jobs/new?clone={job_id}",
        "data": "/data",
        "file": "/data/file-bench",
        "models": "/models",
        "model": f"/models/ft:tiny-random-llama:bench::{'ftjob-' + '1'.zfill(24)}",
        "models, searched": "/models?search=ftjob-000000000000000000000001",
        "projects": "/projects",
    }


def operator_key(database: Database) -> str:
    engine = make_engine(Settings(database_url=database.url))
    with session_scope(engine) as session:
        key = create_key(session, project_id=None, name="bench")
    engine.dispose()
    return key


@contextmanager
def shown(api_port: int, folder: Path) -> Iterator[str]:
    """The dashboard's address."""
    [port] = free_ports(1)
    env = {name: value for name, value in os.environ.items() if not name.startswith("TUNESMITH_")}
    env |= {"TUNESMITH_DASHBOARD_API_URL": f"http://127.0.0.1:{api_port}/v1", "TUNESMITH_DASHBOARD_PORT": str(port)}
    child = Child("dashboard", [sys.executable, "-m", "dashboard"], folder, env, ready=lambda: _answers(port))
    child.start()
    try:
        child.wait_ready(60)
        yield f"http://127.0.0.1:{port}"
    finally:
        child.stop()


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
    except httpx.TransportError:
        return False


def seconds_of(page: Page, url: str) -> float:
    """From the click until the contents are there, charts are drawn, and the page listens."""
    began = time.perf_counter()
    page.goto(url)
    page.locator("#content h1").wait_for()
    page.wait_for_function(DRAWN)
    return time.perf_counter() - began


def main() -> int:
    reached: list[bool] = []
    with tempfile.TemporaryDirectory() as temporary, run_services(Path(temporary)) as services:
        folder = Path(temporary) / "logs"
        database = make_database(services, "many", count=JOBS)
        (job_id, other_id), key = seed(database), operator_key(database)
        with served("api.main:app", services, database, folder) as api, shown(api, folder) as url:
            if "--keep" in sys.argv:
                print(f"{url}  {key}  job {job_id}", flush=True)
                threading.Event().wait()
            with sync_playwright() as playwright:
                path = shutil.which("chromium") or "chromium"
                browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
                page = browser.new_page(viewport={"width": 1280, "height": 900})
                page.goto(f"{url}/login")
                page.get_by_label("API key").fill(key)
                page.get_by_role("button", name="Log in").click()
                page.locator("#content h1").wait_for()
                print(f"{JOBS:,} jobs, {RUNNING} running, {FILES:,} files; {LOADS} loads a page, in seconds")
                for name, at in pages(job_id, other_id).items():
                    times = [seconds_of(page, url + at) for _ in range(LOADS + 1)][1:]
                    median = statistics.median(times)
                    print(f"{name:<28} {median:.2f} ({min(times):.2f}-{max(times):.2f})")
                    reached.append(at_most(name, median, LONGEST))
                browser.close()
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())
