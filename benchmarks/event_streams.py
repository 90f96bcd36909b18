"""`python -m benchmarks.event_streams`: what 500 listeners cost one replica, and whether each hears everything once."""

import asyncio
import itertools
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.api import Database, make_database, served
from benchmarks.asked import at_most
from core.db import make_engine, session_scope
from core.jobs import claims, publishing
from core.jobs import service as jobs
from core.registry.catalogue import load_catalogue
from core.settings import PACKAGED_CATALOGUE, Settings
from core.specs.job import JobSpec
from core.specs.run import MessageEvent
from embedded.services import run_services

CLIENTS, JOBS = 500, 5
ROUNDS, EVENTS_A_ROUND = 20, 5
SETTLED = 2.0  # seconds without work before memory is read


class Listener:
    """One connection; notes numbers, and how long after it was written each event arrived."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.lags: list[float] = []

    async def run(self, port: int, job_id: str, key: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        request = f"GET /v1/fine_tuning/jobs/{job_id}/events?stream=true HTTP/1.1"
        writer.write(f"{request}\r\nhost: x\r\nauthorization: Bearer {key}\r\n\r\n".encode())
        ended = False
        while not ended:
            line = await reader.readline()
            if line.startswith(b"id: "):
                self.numbers.append(int(line[4:]))
            elif line.startswith(b"data: "):
                message = json.loads(line[6:]).get("message", "")
                if message.startswith("at "):
                    self.lags.append(time.time() - float(message[3:]))
            ended = line.startswith(b"event: end")
        writer.close()


def make_jobs(database: Database) -> list[tuple[str, int]]:
    """(id, token) of running jobs."""
    engine = make_engine(Settings(database_url=database.url))
    with session_scope(engine) as session:
        catalogue, spec = (
            load_catalogue(PACKAGED_CATALOGUE),
            JobSpec(model="tiny-random-llama", training_file="file-bench"),
        )
        for _ in range(JOBS):
            jobs.create(session, owner=database.owner, catalogue=catalogue, spec=spec, known={})
    claimed: list[tuple[str, int]] = []
    for _ in range(JOBS):
        with session_scope(engine) as session:
            job = claims.claim(session, worker_id="bench", devices=0, lease=3600)
            assert job is not None
            claimed.append((job.id, job.token or 0))
    engine.dispose()
    return claimed


def write(database: Database, running: list[tuple[str, int]]) -> None:
    """Events on all jobs, each with the moment at which it was written, and the end of the jobs."""
    engine = make_engine(Settings(database_url=database.url))
    for number in range(ROUNDS):
        for _, token in running:
            events = [MessageEvent(message=f"at {time.time()}") for _ in range(EVENTS_A_ROUND)]
            with session_scope(engine) as session:
                publishing.record(session, token=token, lease=3600, start=number * EVENTS_A_ROUND, events=events)
        time.sleep(0.2)
    for job_id, _ in running:
        with session_scope(engine) as session:
            jobs.cancel(session, owner=database.owner, job_id=job_id)
    engine.dispose()


async def listen(
    port: int, database: Database, running: list[tuple[str, int]], server: psutil.Process
) -> tuple[list[Listener], float]:
    """All that were heard, and MB of memory that they cost."""
    before = server.memory_info().rss
    listeners = [Listener() for _ in range(CLIENTS)]
    targets = itertools.cycle(job_id for job_id, _ in running)
    tasks = [asyncio.create_task(item.run(port, next(targets), database.key)) for item in listeners]
    while not all(item.numbers for item in listeners):
        await asyncio.sleep(0.1)
    writer = asyncio.create_task(asyncio.to_thread(write, database, running))
    highest = before
    while not writer.done():
        highest = max(highest, server.memory_info().rss)
        await asyncio.sleep(0.2)
    await asyncio.gather(writer, *tasks)
    return listeners, (highest - before) / 1e6


def main() -> int:
    with tempfile.TemporaryDirectory() as temporary, run_services(Path(temporary)) as services:
        database = make_database(services, "streams", count=2)
        # The job that the database was made with is queued: it goes first, and nobody listens to it.
        engine = make_engine(Settings(database_url=database.url))
        with session_scope(engine) as session:
            jobs.cancel(session, owner=database.owner, job_id=database.job_id)
        engine.dispose()
        running = make_jobs(database)
        with served("api.main:app", services, database, Path(temporary) / "logs") as port:
            server = next(
                process for process in psutil.Process().children(recursive=True) if str(port) in process.cmdline()
            )
            time.sleep(SETTLED)
            listeners, more = asyncio.run(listen(port, database, running, server))
    lags = sorted(lag for item in listeners for lag in item.lags)
    lost = sum(set(range(1, max(item.numbers) + 1)) != set(item.numbers) for item in listeners)
    doubled = sum(len(set(item.numbers)) != len(item.numbers) for item in listeners)
    short = sum(len(item.lags) != ROUNDS * EVENTS_A_ROUND for item in listeners)
    events = sum(len(item.numbers) for item in listeners)
    print(f"{events} events; listeners with a gap {lost + short}, with a double {doubled}")
    print(f"delivered after {statistics.median(lags):.2f} s (median), {lags[int(0.99 * len(lags))]:.2f} s (p99)")
    reached = (
        at_most(f"MB more for {CLIENTS} listeners on {JOBS} jobs", more, 64),
        at_most("listeners with a gap", lost + short, 0),
        at_most("listeners with a double", doubled, 0),
    )
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())
