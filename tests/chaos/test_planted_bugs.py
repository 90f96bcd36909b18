"""The harness sees what it is there to see: each of these bugs, planted into a worker, breaks a promise by name."""

import random
import signal
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from tunesmith import Tunesmith
from tunesmith.errors import TunesmithError

from tests.chaos.checker import check
from tests.chaos.cluster import PATIENCE, Cluster
from tests.chaos.history import History
from tests.chaos.proxy import Trouble
from tests.chaos.rounds import user
from tests.chaos.watch import Watch
from tests.chaos.work import busy

pytestmark = pytest.mark.chaos
# Ends a connection whose transaction has written events and is about to be committed.
BREAK = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE state = 'idle in transaction' AND query ~ '^INSERT INTO (events|metrics)'
"""
GAP = """
    SELECT 1 FROM (SELECT seq - lag(seq, 1, 0) OVER (PARTITION BY job_id ORDER BY seq) AS step FROM events e
    JOIN jobs j ON j.id = e.job_id WHERE j.spec->'metadata'->>'run' = %s) AS numbers WHERE step > 1
"""
LATE = """
    SELECT 1 FROM jobs WHERE spec->'metadata'->>'run' = %s AND token IS NOT NULL AND step > 0.9 * total_steps
"""
STATE = "SELECT status, token FROM jobs WHERE spec->'metadata'->>'run' = %s ORDER BY created_at DESC LIMIT 1"


@dataclass
class Planted:
    """train-1 has the bug, and one user works; `rules` is filled with the names of those that were broken."""

    cluster: Cluster
    rules: set[str]


@contextmanager
def planting(cluster: Cluster, folder: Path, bug: str) -> Iterator[Planted]:
    planted = Planted(cluster, set())
    cluster.run, cluster.fault = bug, 1
    with closing(History(folder / "history.jsonl")) as history:
        cluster.history = history
        cluster.stop("train-1")
        cluster.start("train-1", planted=bug)
        try:
            with (
                Watch(cluster.witness, history, run=bug, workers=cluster.workers),
                busy(
                    user(cluster, folder),
                    count=1,
                    methods=["supervised"],
                    wanted=lambda: (),
                    draw=random.Random(2),
                    seconds=PATIENCE,
                ),
            ):
                try:
                    yield planted
                finally:
                    cluster.heal()
                    cancel_all(cluster)
        finally:
            cluster.stop("train-1")
            cluster.start("train-1")
        planted.rules |= {violation.rule for violation in check(history.read(), cluster.witness.dump(bug))}


def cancel_all(cluster: Cluster) -> None:
    """What a bug has broken for good would go on for long."""
    with Tunesmith(base_url=cluster.url, api_key=cluster.key) as client:
        for job in client.fine_tuning.jobs.list(metadata={"run": cluster.run}):
            if not job.ended:
                with suppress(TunesmithError):  # it has ended meanwhile
                    client.fine_tuning.jobs.cancel(job.id)


@contextmanager
def resting(cluster: Cluster, name: str) -> Iterator[None]:
    """A worker that is down for as long as the block lasts, so that another one gets the work."""
    cluster.stop(name)
    try:
        yield
    finally:
        cluster.start(name)


def state(cluster: Cluster) -> tuple[str, int | None]:
    rows = cluster.witness.rows(STATE, cluster.run)
    return (rows[0]["status"], rows[0]["token"]) if rows else ("", None)


def uploading(cluster: Cluster, folder: str) -> Callable[[], bool]:
    return lambda: cluster.is_uploading(state(cluster)[1], folder)


def test_a_finish_without_the_token_check(cluster: Cluster, tmp_path: Path) -> None:
    """train-1 is frozen in its last upload, loses the job to train-2, and finishes it under the other's hands."""
    with planting(cluster, tmp_path, "finish_without_token_check") as planted:
        with resting(cluster, "train-2"):
            cluster.wait(lambda: cluster.witness.rows(LATE, cluster.run), what="a job near its end")
            cluster.store.trouble = Trouble("delay", seconds=0.05)
            cluster.wait(uploading(cluster, "artifacts"), what="the last upload", pause=0.005)
            _, first = state(cluster)
            cluster.send("train-1", signal.SIGSTOP)
        cluster.wait(lambda: state(cluster)[1] not in (None, first), what="the next attempt")
        cluster.send("train-2", signal.SIGSTOP)
        cluster.heal()
        cluster.send("train-1", signal.SIGCONT)
        cluster.wait(lambda: state(cluster)[1] is None, what="the end of the job")
        cluster.send("train-2", signal.SIGCONT)
    assert "fence" in planted.rules


def test_an_event_number_assigned_outside_of_the_lock(cluster: Cluster, tmp_path: Path) -> None:
    """Transactions are rolled back, and the numbers that they took are missing from then on."""
    with planting(cluster, tmp_path, "event_number_outside_the_lock") as planted, resting(cluster, "train-2"):
        cluster.wait(lambda: state(cluster)[0] == "running", what="a job on train-1")
        cluster.lonely.trouble = Trouble("delay", seconds=0.02)

        cluster.wait(lambda: cluster.witness.rows(BREAK), what="a transaction that is rolled back", pause=0.001)
        cluster.heal()
        cluster.wait(lambda: cluster.witness.rows(GAP, cluster.run), what="a gap")
    assert {"events", "streams"} <= planted.rules


def test_a_checkpoint_published_before_its_upload_ends(cluster: Cluster, tmp_path: Path) -> None:
    """The worker is killed in the upload of a checkpoint that everybody can see."""
    with planting(cluster, tmp_path, "checkpoint_before_its_upload") as planted, resting(cluster, "train-2"):
        cluster.wait(lambda: state(cluster)[0] == "running", what="a job on train-1")
        cluster.store.trouble = Trouble("delay", seconds=0.3)
        cluster.wait(uploading(cluster, "checkpoints"), what="the upload of a checkpoint", pause=0.005)
        cluster.kill("train-1")
        cluster.heal()
        cluster.start("train-1", planted="checkpoint_before_its_upload")
    assert "checkpoints" in planted.rules
