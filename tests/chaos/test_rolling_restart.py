"""Every process is replaced, one after another, under load: no job fails, and no call of a client with two retries."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from openai import OpenAI, OpenAIError
from tunesmith import Tunesmith
from tunesmith.errors import TunesmithError

from tests.chaos.checker import check
from tests.chaos.cluster import APIS, SEEN, TRAINERS, Cluster
from tests.chaos.history import History
from tests.chaos.watch import Watch
from tests.chaos.work import METHODS, OPTIONS

pytestmark = pytest.mark.chaos
RETRIES = 2
RUN = "rolling"
OUTCOMES = """
    SELECT j.status, j.faults, array_agg(DISTINCT a.outcome) AS outcomes FROM jobs j JOIN attempts a ON a.job_id = j.id
    WHERE j.spec->'metadata'->>'run' = %s GROUP BY j.id
"""


@dataclass
class Callers:
    """made: calls by the name of the client. failed: what was raised to one of them."""

    made: dict[str, int] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)


def test_a_rolling_restart_is_noticed_by_nobody(cluster: Cluster, tmp_path: Path) -> None:
    cluster.run, cluster.fault = RUN, 0
    rows = tmp_path / "rows.jsonl"
    rows.write_bytes(METHODS["supervised"])
    with closing(History(tmp_path / "history.jsonl")) as history:
        cluster.history = history
        with (
            Watch(cluster.witness, history, run=RUN, workers=cluster.workers),
            calling(trainer_of(cluster, rows), trainer_of(cluster, rows), reader_of(cluster)) as callers,
        ):
            for name in (*APIS, *TRAINERS, "cpu", "reconciler"):
                replace(cluster, name)
        violations = check(history.read(), cluster.witness.dump(RUN))
    assert callers.failed == []
    assert not [violation for violation in violations if not violation.is_slow]
    jobs = cluster.witness.rows(OUTCOMES, RUN)
    assert {job["status"] for job in jobs} == {"succeeded"}
    assert {job["faults"] for job in jobs} == {0}
    assert any("drained" in job["outcomes"] for job in jobs), "no worker had anything to hand on"
    assert callers.made["reads"] > 100


def replace(cluster: Cluster, name: str) -> None:
    """What an orchestrator does: the next one is touched when this one serves again."""
    if name in TRAINERS:
        cluster.wait(lambda: any(one.worker == name and one.step for one in cluster.running()), what=f"a job on {name}")
    cluster.stop(name)
    stopped = time.time()
    cluster.start(name)
    if name in APIS:
        cluster.wait(cluster.is_ready, what="both replicas of the API")
    else:
        cluster.wait(lambda: cluster.witness.rows(SEEN, name, stopped), what=f"a sign of life of {name}")


Caller = Callable[[Callers, threading.Event], None]


@contextmanager
def calling(*callers: Caller) -> Iterator[Callers]:
    """Each of them calls for as long as the block lasts, and ends what it has begun."""
    noted, enough = Callers(), threading.Event()

    def call(caller: Caller) -> None:
        while not enough.is_set():
            try:
                caller(noted, enough)
            except (TunesmithError, OpenAIError, AssertionError) as error:
                noted.failed.append(f"{type(error).__name__}: {error}")

    threads = [threading.Thread(target=call, args=(caller,), daemon=True) for caller in callers]
    for thread in threads:
        thread.start()
    try:
        yield noted
    finally:
        enough.set()
        for thread in threads:
            thread.join()


def trainer_of(cluster: Cluster, rows: Path) -> Caller:
    """Uploads, trains, and listens to every event."""

    def train(noted: Callers, _: threading.Event) -> None:
        with Tunesmith(base_url=cluster.url, api_key=cluster.key, max_retries=RETRIES, timeout=30) as client:
            file = client.files.create(file=rows)
            job = client.fine_tuning.jobs.create(
                model="tiny-random-llama",
                training_file=file.id,
                seed=5,
                method={"type": "supervised", "supervised": OPTIONS},
                metadata={"run": RUN, "key": file.id},
            )
            heard = [event.seq for event in client.fine_tuning.jobs.events.stream(job.id)]
            assert heard == list(range(1, len(heard) + 1)), "a gap or a double in a stream"
            ended = client.fine_tuning.jobs.retrieve(job.id)
            assert ended.status == "succeeded", f"{job.id} is {ended.status}"
            noted.made["jobs"] = noted.made.get("jobs", 0) + 1

    return train


def reader_of(cluster: Cluster) -> Caller:
    """Asks as scripts of the hosted API do, without a pause."""

    def read(noted: Callers, enough: threading.Event) -> None:
        with OpenAI(base_url=cluster.url, api_key=cluster.key, max_retries=RETRIES, timeout=30) as client:
            while not enough.is_set():
                for job in client.fine_tuning.jobs.list(limit=2).data:
                    client.fine_tuning.jobs.retrieve(job.id)
                    noted.made["reads"] = noted.made.get("reads", 0) + 1

    return read
