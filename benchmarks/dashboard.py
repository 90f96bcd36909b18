"""`python -m benchmarks.dashboard`: seconds until each page of the dashboard shows its contents, with 100,000 jobs.

`--keep` leaves it running to look at, and prints where and with which key.
"""

import json
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
from playwright.sync_api import Page, sync_playwright
from sqlalchemy import create_engine, select, text

from benchmarks.api import Database, make_database, multiply, served
from benchmarks.asked import at_most
from core.access.service import create_key
from core.db import make_engine, session_scope
from core.jobs import samples
from core.models import Artifact, Job
from core.settings import Settings
from core.specs.rollouts import FILE, Rollout
from core.storage import Storage
from embedded.ports import free_ports
from embedded.process import Child
from embedded.services import Services, run_services

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
    """WITH line AS (SELECT id, model, lag(id) OVER (ORDER BY id) before FROM jobs WHERE status = 'succeeded'
       ORDER BY id LIMIT :stages)
       UPDATE jobs SET parent_model_id = 'model-' || before, model = 'ft:' || line.model || ':bench::' || before
       FROM line WHERE line.id = jobs.id AND before IS NOT NULL""",
    "ANALYZE",
)
STAGES = 20  # of the longest line of models
ROLLOUTS, SAMPLES, CHARACTERS = 1_000, 100, 2_000  # of one job; characters of each text


@dataclass(frozen=True)
class Seeded:
    """Ids of two jobs that run, of one that has yielded rollouts and samples, and of the last one of a line."""

    running: str
    other: str
    ended: str
    last: str


def seed(services: Services, database: Database) -> Seeded:
    """Make the jobs look like a busy day."""
    engine = create_engine(database.url, isolation_level="AUTOCOMMIT")
    earlier = {"id": "'file-' || lpad(n::text, 24, '0')", "created_at": "created_at - make_interval(secs => n)"}
    multiply(engine, "files", earlier, count=FILES - 1)
    with engine.connect() as connection:
        connection.execute(text("SET statement_timeout = 0"))
        for statement in SEEDING:
            asked = {"running": RUNNING, "steps": STEPS, "stages": STAGES}
            connection.execute(text(statement), {name: n for name, n in asked.items() if f":{name}" in statement})
        first, second = connection.execute(
            text("SELECT id FROM jobs WHERE status = 'running' ORDER BY id LIMIT 2")
        ).scalars()
        last = connection.execute(
            text("SELECT id FROM jobs WHERE parent_model_id IS NOT NULL ORDER BY id DESC LIMIT 1")
        ).scalar_one()
    engine.dispose()
    return Seeded(first, second, yielded(services, database), last)


def yielded(services: Services, database: Database) -> str:
    """Give a job that has ended rollouts and samples in the store; answers its id."""
    said = "so many words " * (CHARACTERS // 14)
    prompt = [{"role": "user", "content": said}]
    answers = [
        Rollout(
            number=n, step=n // 8, row=n // 4, prompt=prompt, completion=said, completion_tokens=400, truncated=False,
            reward=n % 7 / 7, rewards={"right": float(n % 2), "short": n % 5 / 5}, advantage=n % 3 - 1.0,
        ).model_dump()
        for n in range(ROLLOUTS)
    ]  # fmt: skip
    texts = {"prompt": said, "expected": said, "before": said, "after": said}
    files = {FILE: answers, samples.FILE: [{"row": n} | texts for n in range(SAMPLES)]}
    settings = {name.removeprefix("TUNESMITH_").lower(): value for name, value in services.env.items()}
    storage = Storage(Settings.model_validate(settings))
    engine = make_engine(Settings(database_url=database.url))
    with tempfile.TemporaryDirectory() as folder, session_scope(engine) as session:
        job = session.scalars(select(Job).where(Job.status == "succeeded").order_by(Job.id).limit(1)).one()
        grader = {"type": "python", "name": "right", "source": "def grade(sample, item): return 1"}
        job.spec = job.spec | {"method": {"type": "reinforcement", "reinforcement": {"grader": grader}}}
        for name, rows in files.items():
            (Path(folder) / name).write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        for entry in storage.put_folder("bench/", Path(folder)):
            about = {"job_id": job.id, "object_key": f"bench/{entry.name}", "created_at": job.created_at}
            session.add(Artifact(id=f"artifact-{entry.name}", **about, **asdict(entry)))
        job_id = job.id
    engine.dispose()
    return job_id


def pages(jobs: Seeded) -> dict[str, str]:
    """Paths by names."""
    job_id = jobs.running
    return {
        "overview": "/",
        "jobs": "/jobs",
        "jobs that failed": "/jobs?status=failed",
        "jobs, searched, none found": "/jobs?search=nothing-has-this",
        "jobs of a method": "/jobs?method=dpo",
        "jobs of a model": "/jobs?model=tiny-random-llama",
        "jobs by metadata, none found": "/jobs?metadata=team%3Dnobody",
        "job": f"/jobs/{job_id}",
        "results": f"/jobs/{jobs.ended}/results",
        "rollouts": f"/jobs/{jobs.ended}/rollouts",
        "rollouts, sorted by a grader": f"/jobs/{jobs.ended}/rollouts?grader=right&order_by=grader_reward",
        "lineage": f"/jobs/{jobs.last}/lineage",
        "spec": f"/jobs/{job_id}/spec",
        "log": f"/jobs/{job_id}/log",
        "compare": f"/compare?jobs={job_id},{jobs.other}",
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
        jobs, key = seed(services, database), operator_key(database)
        with served("api.main:app", services, database, folder) as api, shown(api, folder) as url:
            if "--keep" in sys.argv:
                print(f"{url}  {key}  job {jobs.running}", flush=True)
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
                for name, at in pages(jobs).items():
                    times = [seconds_of(page, url + at) for _ in range(LOADS + 1)][1:]
                    median = statistics.median(times)
                    print(f"{name:<28} {median:.2f} ({min(times):.2f}-{max(times):.2f})")
                    reached.append(at_most(name, median, LONGEST))
                browser.close()
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())
