"""The ten faults, each a function that does it in one way (`variant`) and leaves everything well."""

import hashlib
import random
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import redis

from core.queue import TASK, make_celery
from core.settings import Settings
from embedded.services import remove_stale_pid_file
from tests.chaos.cluster import APIS, LEASE, SEEN, TRAINERS, Cluster, Running, other_clock, small_disk
from tests.chaos.moments import LATEST_STEP, MOMENTS, TRIES, while_training
from tests.chaos.proxy import Trouble
from tests.chaos.witness import trainers
from tests.chaos.work import CHECKPOINT_INTERVAL, METHODS

QUEUES = ("train", "cpu")
ANY = "any"  # method
OTHER = "other"  # method: each round draws one (rounds.drawn)
DISK_MEGABYTES = 96
TROUBLE_SECONDS = 8.0
STORE_TRIES = 5  # that a client of the store makes, each until its timeout, before our own code hears of it

# The attempts that ended with that error code, as the product counts them for its operators.
OUT_OF_MEMORY = """
    SELECT coalesce(sum(n), 0) AS count FROM (
        SELECT total AS n, name, label FROM tallies UNION ALL SELECT value AS n, name, label FROM observations
    ) AS counted WHERE name = 'attempt_errors' AND label = 'out_of_memory'
"""


class NotPossible(Exception):
    """This machine lacks what the fault needs; the message says what."""


@dataclass(frozen=True)
class Fault:
    """recovers: within so many seconds work has to go on."""

    number: int
    title: str
    inject: Callable[[Cluster, random.Random, str], None]
    variants: tuple[str, ...]
    recovers: float


def kill(cluster: Cluster, draw: random.Random, variant: str) -> None:
    """kill -9 of the trainer, the worker that supervises it, or both; of a job of one method, or of any."""
    method, victim, moment = variant.split()
    if method not in (ANY, *cluster.wanted):
        cluster.wanted = [method]
    running = MOMENTS[moment](cluster, draw, method=None if method == ANY else method)
    # A worker's death delays whatever waits for it; a trainer's only its own job.
    hit = {"job": running.job} if victim == "trainer" else {}
    with cluster.injury(f"kill -9: {variant}", token=running.token, **hit):
        if victim != "trainer":
            cluster.kill(running.worker)
        if victim != "worker":
            cluster.kill_trainer(running.token)
        if victim != "trainer":
            cluster.start(running.worker)


def freeze(cluster: Cluster, draw: random.Random, variant: str) -> None:
    """SIGSTOP of a worker for three leases: alone, with its trainer, or in the midst of an upload. Or it is cut off."""
    if variant == "cut off":
        cut_off(cluster)
        return
    running = MOMENTS[variant if variant in MOMENTS else "training"](cluster, draw)
    with cluster.injury(f"SIGSTOP: {variant}"):
        cluster.send(running.worker, signal.SIGSTOP)
        if variant == "with trainer":
            cluster.signal_trainer(running.token, signal.SIGSTOP)
        try:
            cluster.last(3 * LEASE)
        finally:
            cluster.send(running.worker, signal.SIGCONT)
            cluster.signal_trainer(running.token, signal.SIGCONT)


def cut_off(cluster: Cluster) -> None:
    """A worker that trains on and can't reach PostgreSQL for three leases."""
    cluster.wait(lambda: any(one.worker == "train-1" for one in cluster.running()), what="a job on train-1")
    with cluster.trouble(cluster.lonely, Trouble("blackhole"), what="PostgreSQL away for one worker"):
        cluster.last(3 * LEASE)


def mistreat_broker(cluster: Cluster, draw: random.Random, variant: str) -> None:
    """Every message tenfold and shuffled; the broker emptied again and again; the broker away."""
    values = {"redis_url": cluster.services.env["TUNESMITH_REDIS_URL"]}
    broker = cluster.services.child("valkey")
    with cluster.injury(f"broker: {variant}", queued=True):
        if variant == "away":
            broker.stop()
            cluster.last(45)
            broker.start()
            broker.wait_ready(60)
        elif variant == "tenfold":
            bell = make_celery(Settings(**values), timeout=5)  # pyright: ignore[reportArgumentType]
            for queue in draw.choices(QUEUES, k=200):
                bell.send_task(TASK, queue=queue)
            bell.close()
        else:
            client = redis.Redis.from_url(values["redis_url"])
            for _ in range(40):
                client.flushall()
                cluster.last(0.2)
            client.close()


def mistreat_postgres(cluster: Cluster, draw: random.Random, variant: str) -> None:
    """Crash it under load; break its connections; let it hang."""
    if variant.startswith("crash"):
        cluster.last(draw.uniform(5, 20))
        crash_postgres(cluster)
    elif variant == "connections":
        with cluster.injury("PostgreSQL: connections break"):
            cluster.database.trouble = cluster.lonely.trouble = Trouble("reset", share=0.01)
            cluster.last(TROUBLE_SECONDS)
    else:
        with cluster.injury("PostgreSQL: hangs"):
            cluster.database.trouble = cluster.lonely.trouble = Trouble("blackhole")
            cluster.last(2 * LEASE)


def crash_postgres(cluster: Cluster) -> None:
    """What `pg_ctl restart -m immediate` does: no checkpoint, no good-bye; the next start recovers."""
    server = cluster.services.child("postgres")
    with cluster.injury("PostgreSQL: crash"):
        assert server.process is not None
        server.process.send_signal(signal.SIGQUIT)
        server.process.wait()
        remove_stale_pid_file(Path(server.command[server.command.index("-D") + 1]) / "postmaster.pid")
        server.start()
        server.wait_ready(60)


STORE_TROUBLES = {
    "503": Trouble("503", share=0.2),
    "slow": Trouble("delay", share=0.3, seconds=1.0),
    "silent": Trouble("blackhole"),
    "resets": Trouble("reset", share=0.2),
    "truncated": Trouble("truncate", share=0.2),
    "flipped": Trouble("flip", share=0.2),
}


def mistreat_store(cluster: Cluster, draw: random.Random, variant: str) -> None:
    """The object store refuses, hangs, breaks off, or hands on damaged bytes, each way."""
    before = cluster.store.hits
    cluster.store.given_up.clear()
    with cluster.trouble(cluster.store, STORE_TROUBLES[variant], what=f"store: {variant}"):
        cluster.last(TROUBLE_SECONDS)
        cluster.wait(lambda: cluster.store.hits > before, what="traffic with the store")
        if variant == "silent":
            given_up = cluster.store.given_up
            cluster.wait(lambda: max([*given_up.values()], default=0) >= STORE_TRIES, what="a client that gives up")


def exhaust(cluster: Cluster, draw: random.Random, variant: str) -> None:
    """The worker's disk fills up, or its trainer may have no more memory."""
    if variant == "memory":
        take_memory(cluster, draw)
        return
    disk = small_disk(cluster.work_dir("train-2"), DISK_MEGABYTES)
    if disk is None:
        raise NotPossible("no tmpfs may be mounted")
    cluster.stop("train-2")
    cluster.start("train-2", through=disk)
    try:
        cluster.wait(lambda: any(map(is_on_small_disk, cluster.running())), what="a job on the small disk")
        fill_disk(cluster, cluster.workers()["train-2"])
    finally:
        cluster.stop("train-2")
        cluster.start("train-2")


def take_memory(cluster: Cluster, draw: random.Random) -> None:
    """Give a trainer no more address space, until an attempt has failed of it, and says so."""
    for _ in range(TRIES):
        running = while_training(cluster, draw)
        before = cluster.witness.rows(OUT_OF_MEMORY)[0]["count"]
        with cluster.injury("out of memory", job=running.job):
            for trainer in trainers():
                if trainer.token == running.token:
                    process = psutil.Process(trainer.pid)
                    process.rlimit(psutil.RLIMIT_AS, (process.memory_info().vms, psutil.RLIM_INFINITY))
            cluster.wait(lambda token=running.token: not cluster.holds(token), what="the end of an attempt")
        ended = cluster.witness.rows("SELECT outcome, detail FROM attempts WHERE token = %s", running.token)[0]
        if ended["outcome"] in ("succeeded", "cancelled"):  # with what it had, or because its user wanted that
            continue
        counted = cluster.witness.rows(OUT_OF_MEMORY)[0]["count"] - before
        assert (ended["outcome"], counted) == ("fault", 1), f"out of memory, it ended so: {ended}"
        return
    raise TimeoutError(f"{TRIES} trainers have done with the memory that they had")


def is_on_small_disk(running: Running) -> bool:
    """With a checkpoint to come, and past the steps at which users cancel."""
    return running.worker == "train-2" and CHECKPOINT_INTERVAL // 2 <= running.step <= LATEST_STEP


def fill_disk(cluster: Cluster, pid: int) -> None:
    """Leave the worker no byte until an attempt has failed of it; the worker has to survive that."""
    full = "SELECT 1 FROM attempts WHERE worker_id = 'train-2@chaos' AND detail LIKE '%disk is full%'"
    # The disk is the worker's alone: the way to it leads through its process.
    ballast = Path(f"/proc/{pid}/root{cluster.work_dir('train-2')}/ballast")
    with cluster.injury("disk full"):
        try:
            with ballast.open("wb", buffering=0) as file:
                while _takes(file.write):
                    pass
            cluster.wait(lambda: cluster.witness.rows(full), what="an attempt that fails for want of room")
            failed = len(cluster.witness.rows(full))
            cluster.last(2 * LEASE)  # in which it takes nothing that would fail as well
            assert len(cluster.witness.rows(full)) == failed, "a full disk was given more work"
            assert cluster.workers().get("train-2") == pid, "the worker died of a full disk"
        finally:
            ballast.unlink(missing_ok=True)


def _takes(write: Callable[[bytes], object]) -> bool:
    try:
        write(bytes(4096))
    except OSError:
        return False
    return True


def drain(cluster: Cluster, draw: random.Random, variant: str) -> None:
    """SIGTERM: what runs is handed on, and nobody's fault."""
    name = while_training(cluster, draw).worker if variant == "worker" else draw.choice(APIS)
    name = "reconciler" if variant == "reconciler" else name
    with cluster.injury(f"SIGTERM: {variant}", drained=f"{name}@chaos"):
        cluster.stop(name)
        cluster.start(name)


def shift_clock(cluster: Cluster, draw: random.Random, variant: str) -> None:
    """A worker, or the reconciler, whose clock is hours off."""
    name, _, offset = variant.partition(" ")
    through = other_clock(offset)
    if through is None:
        raise NotPossible("faketime is not installed")
    with cluster.injury(f"clock: {variant}"):
        cluster.stop(name)
        started = time.time()
        cluster.start(name, through=through)
        cluster.wait(lambda: is_at_work(cluster, name, since=started), what=f"work of {name}, whose clock is off")
        cluster.last(2 * LEASE)
        cluster.stop(name)
        cluster.start(name)


def is_at_work(cluster: Cluster, name: str, *, since: float) -> bool:
    """Whether it looks after something: a worker after an attempt, the reconciler after everybody's leases."""
    if name in TRAINERS:
        return any(one.worker == name for one in cluster.running())
    return bool(cluster.witness.rows(SEEN, name, since))


def kill_api(cluster: Cluster, draw: random.Random, variant: str) -> None:
    """An API replica dies in the midst of an upload, or between a commit and its answer."""
    if variant == "upload":
        kill_api_in_upload(cluster)
        return
    before, name = cluster.balancer.hits, draw.choice(APIS)
    with cluster.trouble(cluster.balancer, Trouble("lose answers"), what="API: kill -9 before its answer"):
        cluster.wait(lambda: cluster.balancer.hits > before, what="a POST", pause=0.002)
        cluster.kill(name)
        cluster.start(name)


def kill_api_in_upload(cluster: Cluster) -> None:
    """Half a file has arrived; afterwards it is sent again, twice, with the same key."""
    key = f"{cluster.run}-{cluster.fault}-half"
    headers = {"authorization": f"Bearer {cluster.key}", "idempotency-key": key}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    rows = METHODS["supervised"]
    part = f'--b\r\ncontent-disposition: form-data; name="file"; filename="{key}.jsonl"\r\n\r\n'
    request = f"POST /v1/files HTTP/1.1\r\nhost: x\r\n{head}content-type: multipart/form-data; boundary=b\r\n"
    address = urlsplit(cluster.url)
    cluster.history.add("attempted", key=key, fault=cluster.fault)
    with (
        cluster.injury("API: kill -9 in an upload"),
        socket.create_connection((address.hostname, address.port)) as half,
    ):
        half.sendall(f"{request}content-length: 1000000\r\n\r\n{part}".encode() + rows[: len(rows) // 2])
        for name in APIS:  # one of them has it
            cluster.kill(name)
            cluster.start(name)
            cluster.wait(cluster.is_ready, what="both replicas")
    for _ in range(2):
        form = {"file": (f"{key}.jsonl", rows)}
        answer = httpx.post(f"{cluster.url}/files", data={"purpose": "fine-tune"}, files=form, headers=headers)
        file = answer.raise_for_status().json()["id"]
        cluster.history.add("stored", key=key, file=file, sha256=hashlib.sha256(rows).hexdigest())


QUICK: tuple[tuple[Callable[[Cluster, random.Random, str], None], str], ...] = (
    (kill, f"{ANY} trainer training"),
    (kill, f"{ANY} worker training"),
    (kill, f"{ANY} both checkpointing"),
    (freeze, "alone"),
    (freeze, "cut off"),
    (mistreat_broker, "tenfold"),
    (mistreat_postgres, "crash"),
    (drain, "worker"),
    (kill_api, "answer"),
)


def together(cluster: Cluster, draw: random.Random, variant: str) -> None:
    """Several faults in a row, while the ways to database and store are bad as well."""
    kind = draw.choice(["503", "resets", "truncated", "flipped", "slow"])
    store = Trouble(STORE_TROUBLES[kind].kind, share=0.05, seconds=0.5)
    for inject, how in draw.sample(QUICK, 3):
        cluster.store.trouble = store
        cluster.database.trouble = Trouble("reset", share=0.001)
        inject(cluster, draw, how)


# When a job finishes, its trainer has ended already.
KILLS = [
    f"{victim} {moment}" for victim in ("trainer", "worker", "both") for moment in MOMENTS if moment != "finishing"
]
KILLS.append("worker finishing")
# Every round kills one method in every way; the others take turns, at other ways in other rounds: all
# methods in all ways would be four times as many kills.
FIRST, *OTHERS = METHODS
KILLED = [f"{method} {kill}" for method in (FIRST, OTHER) for kill in KILLS]
FROZEN = ("alone", "with trainer", "publishing", "finishing", "cut off")
FAULTS = (
    Fault(1, "kill -9 of trainer, worker or both", kill, tuple(KILLED), LEASE + 20),
    Fault(2, "worker frozen or cut off, 3 leases", freeze, FROZEN, 60),
    Fault(3, "messages tenfold, lost; broker away", mistreat_broker, ("tenfold", "emptied", "away"), 60),
    Fault(
        4,
        "PostgreSQL crashes, resets, hangs",
        mistreat_postgres,
        ("crash 1", "crash 2", "crash 3", "crash 4", "connections", "hangs"),
        60,
    ),
    Fault(5, "object store fails or lies", mistreat_store, tuple(STORE_TROUBLES), 60),
    Fault(6, "disk full, out of memory", exhaust, ("disk", "memory"), 60),
    Fault(7, "SIGTERM", drain, ("worker", "api", "reconciler"), 60),
    Fault(8, "clock ±2 h", shift_clock, ("train-1 +2h", "train-2 -2h", "reconciler +2h", "reconciler -2h"), 60),
    Fault(9, "API killed mid-upload, before answer", kill_api, ("upload", "answer", "answer again"), 60),
    Fault(10, "several of these at once", together, ("1", "2", "3"), 120),
)
assert all(fault.number == i for i, fault in enumerate(FAULTS, start=1))
