"""The moments at which faults strike: each function waits for one, and answers the attempt that has come to it."""

import random
from collections.abc import Callable

from tests.chaos.cluster import Cluster, Running
from tests.chaos.proxy import Trouble

LATEST_STEP = 120  # a moment of training is drawn from the first so many steps
MOST_FAULTS = 2  # of a job: with one more it rightly fails
TRIES = 20


def while_training(cluster: Cluster, draw: random.Random, *, method: str | None = None) -> Running:
    """An attempt (at a job of that method) that is past a step that is drawn."""
    step = draw.randint(1, LATEST_STEP)

    def look() -> Running | None:
        found = (one for one in cluster.running() if method in (None, one.method) and one.faults < MOST_FAULTS)
        return next((one for one in found if one.step >= step), None)

    running = cluster.wait(look, what=f"a job at step {step}")
    assert running is not None
    return running


def while_checkpointing(cluster: Cluster, draw: random.Random, *, method: str | None = None) -> Running:
    """An attempt whose trainer is writing a checkpoint at this very moment."""

    def begins(running: Running) -> bool:
        folder = cluster.work_dir(running.worker) / "runs" / f"{running.job}-{running.token}" / "trainer"
        return any(folder.glob("checkpoint-*"))

    return _caught(cluster, draw, begins, method=method, pause=0.001)


def while_publishing(cluster: Cluster, draw: random.Random, *, method: str | None = None) -> Running:
    """An attempt that is uploading a checkpoint, slowly."""
    return _caught(cluster, draw, _uploads(cluster, "checkpoints"), method=method, pause=0.005)


def while_finishing(cluster: Cluster, draw: random.Random, *, method: str | None = None) -> Running:
    """An attempt whose trainer has ended well and whose worker is uploading what the job yields, slowly."""
    return _caught(cluster, draw, _uploads(cluster, "artifacts"), method=method, pause=0.005)


def _uploads(cluster: Cluster, folder: str) -> Callable[[Running], bool]:
    def begins(running: Running) -> bool:
        cluster.store.trouble = Trouble("delay", seconds=0.2, path=f"/attempts/{running.token}/{folder}/")
        return cluster.is_uploading(running.token, folder)

    return begins


def _caught(
    cluster: Cluster,
    draw: random.Random,
    begins: Callable[[Running], bool],
    *,
    method: str | None,
    pause: float,
) -> Running:
    """An attempt that trains, at the moment at which something begins; one that ends before that is let go."""
    for _ in range(TRIES):
        running = while_training(cluster, draw, method=method)
        seen = cluster.wait(
            lambda running=running: begins(running) or (not cluster.holds(running.token) and "gone"),
            what="a moment in an attempt",
            pause=pause,
        )
        if seen != "gone" and cluster.holds(running.token):
            return running
    raise TimeoutError(f"{TRIES} attempts have ended before their moment had come")


MOMENTS = {
    "training": while_training,
    "checkpointing": while_checkpointing,
    "publishing": while_publishing,
    "finishing": while_finishing,
}
