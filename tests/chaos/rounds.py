"""One round: a cluster under load, one fault at a time from a seeded schedule, and the verdict on what was recorded."""

import itertools
import random
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.checker import Violation, check
from tests.chaos.cluster import PATIENCE, TRAINERS, Cluster, run_cluster
from tests.chaos.faults import FAULTS, OTHER, OTHERS, Fault, NotPossible
from tests.chaos.history import Dump, History, Record
from tests.chaos.watch import Watch
from tests.chaos.work import METHODS, User, busy, one_job

USERS = 3  # one more than there are slots, so that a job waits
WENT_ON = "SELECT 1 FROM chaos_audit WHERE relation = 'metrics' AND at > %s LIMIT 1"  # no heartbeat of a dead attempt


@dataclass(frozen=True)
class Outcome:
    history: list[Record]
    dump: Dump
    violations: list[Violation]


def run_round(folder: Path, *, seed: int, faults: Sequence[Fault] = FAULTS) -> Outcome:
    """A round on a cluster of its own, in an empty folder, where logs and history stay."""
    with run_cluster(folder, seed=seed) as cluster:
        return disturb(cluster, folder, seed=seed, faults=faults)


def disturb(
    cluster: Cluster, folder: Path, *, seed: int, faults: Sequence[Fault], methods: Sequence[str] = tuple(METHODS)
) -> Outcome:
    """A round on a cluster that runs."""
    cluster.run, cluster.fault = f"round{seed}", 0
    folder.mkdir(parents=True, exist_ok=True)
    with closing(History(folder / "history.jsonl")) as history:
        cluster.history = history
        draw = random.Random(seed)
        with Watch(cluster.witness, history, run=cluster.run, workers=cluster.workers):
            train_undisturbed(cluster, folder, methods)
            for fault in draw.sample(faults, len(faults)):
                one_fault(cluster, folder, fault, draw, methods=methods)
            look_for_remains(cluster)
            cluster.mend()  # which records who is not there any more
        dump, records = cluster.witness.dump(cluster.run), history.read()
    return Outcome(records, dump, check(records, dump))


def train_undisturbed(cluster: Cluster, folder: Path, methods: Sequence[str]) -> None:
    """A job of each method, as many at once as there are slots."""
    worker = user(cluster, folder)

    def train(method: str) -> None:
        one_job(worker, f"undisturbed-{method}", method=method, seconds=PATIENCE)

    with ThreadPoolExecutor(len(TRAINERS)) as pool:
        list(pool.map(train, methods))


def user(cluster: Cluster, folder: Path) -> User:
    work = folder / "work-of-users"
    work.mkdir(exist_ok=True)
    return User(cluster.url, cluster.key, work, cluster.history, cluster.run, cluster.fault)


def one_fault(cluster: Cluster, folder: Path, fault: Fault, draw: random.Random, *, methods: Sequence[str]) -> None:
    """Every variant of a fault under load; then, healed, new work, while what the users have begun comes to its end."""
    cluster.fault = fault.number
    cluster.history.add("fault", fault=fault.number, title=fault.title, recovers=fault.recovers)
    worker, variants = user(cluster, folder), drawn(draw, fault.variants)
    load = busy(worker, count=USERS, methods=methods, wanted=lambda: cluster.wanted, draw=draw, seconds=PATIENCE)
    with load as enough:
        for i, variant in enumerate(variants):
            # Some of the users are on the next one's method already: nobody has to wait until all have changed theirs.
            bound = [one.split()[0] for one in (variant, *variants[i : i + 2])]
            cluster.wanted = [method for method in bound if method in methods]
            inject(cluster, fault, draw, variant)
        cluster.wanted = ()
        enough.set()
        became = one_job(worker, "afterwards", method=draw.choice(methods), seconds=PATIENCE)
    if became != "succeeded":
        cluster.history.add("stuck", fault=fault.number, what=f"new work: {became}")


def drawn(draw: random.Random, variants: Sequence[str]) -> list[str]:
    """In an order that is drawn; those with one first word, such as a method that jobs must have, stay together.

    OTHER becomes a method, of all others in turn, in an order that is drawn.
    """
    turns = itertools.cycle(draw.sample(OTHERS, len(OTHERS)))
    variants = [variant.replace(OTHER, next(turns)) if variant.startswith(OTHER) else variant for variant in variants]
    places = {variant.split()[0]: draw.random() for variant in variants}
    return sorted(draw.sample(variants, len(variants)), key=lambda variant: places[variant.split()[0]])


def inject(cluster: Cluster, fault: Fault, draw: random.Random, variant: str) -> None:
    try:
        fault.inject(cluster, draw, variant)
        healed = time.time()
        cluster.wait(lambda: cluster.witness.rows(WENT_ON, healed), what=f"work after {fault.title}: {variant}")
    except NotPossible as error:
        cluster.history.add("skipped", fault=fault.number, variant=variant, why=str(error))
    except Exception as error:  # whatever it is, the round goes on, and the checker hears of it
        cluster.history.add("stuck", fault=fault.number, what=f"{variant}: {type(error).__name__}: {error}")
    finally:
        cluster.heal()


def look_for_remains(cluster: Cluster) -> None:
    """No work is left: what killed workers had on their disks has to go."""
    try:
        cluster.wait(lambda: not cluster.remains(), what="empty run directories")
    except TimeoutError:
        for path in cluster.remains():
            cluster.history.add("remains", path=path)
