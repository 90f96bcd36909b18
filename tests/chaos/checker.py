"""Judges a recorded history, and what database and store hold at its end. Knows nothing of the code that it judges.

Each rule is a promise: it yields what breaks it. docs/chaos.md lists the promises.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from tests.chaos.history import TERMINAL, Dump, Record, by_job, of_kind, of_relation
from tests.chaos.recoveries import recoveries

Cost = Literal["lost", "doubled", "corrupt", "late"]
HANDED_ON = {"drained", "succeeded", "cancelled", "paused"}  # outcomes that a worker that was asked to leave may have
WEIGHTS = {"adapter_model.safetensors", "model.safetensors"}  # of an adapter, of a whole model
GRACE = 10.0  # seconds in which a supervisor that can act has to have ended a trainer without a fence
LONGEST_LOOK = 20.0  # seconds between two looks at the processes of a busy machine
AT_ONCE = 3.0  # seconds in which a trainer has to be gone after its supervisor


@dataclass(frozen=True)
class Violation:
    """rule: the promise that is broken. cost: what it comes to. of: the job, key or process."""

    rule: str
    cost: Cost
    of: str
    detail: str

    @property
    def is_slow(self) -> bool:
        """How long something takes is judged by `make chaos`, on a machine that does nothing else."""
        return (self.rule, self.cost) == ("recovery", "late")

    def __str__(self) -> str:
        return f"{self.rule} ({self.cost}): {self.of}: {self.detail}"


def check(history: list[Record], dump: Dump) -> list[Violation]:
    return [violation for rule in RULES for violation in rule(history, dump)]


def acknowledged(history: list[Record], dump: Dump) -> Iterator[Violation]:
    """Every acknowledged create exists exactly once, whatever was sent again; nothing usable was refused."""
    jobs = {job["id"]: job for job in dump["jobs"]}
    rule = "acknowledged"
    for record in of_kind(history, "acknowledged"):
        if record["job"] not in jobs:
            yield Violation(rule, "lost", record["job"], "was acknowledged, and there is no such job")
    for key, count in Counter(job["key"] for job in dump["jobs"]).items():
        if count > 1:
            yield Violation(rule, "doubled", key, f"one request made {count} jobs")
    files = {file["id"]: file for file in dump["files"]}
    for record in of_kind(history, "stored"):
        file = files.get(record["file"])
        if file is None:
            yield Violation(rule, "lost", record["file"], "was acknowledged, and there is no such file")
        elif (dump["objects"].get(file["key"]) or {}).get("sha256") != record["sha256"]:
            yield Violation(rule, "corrupt", record["file"], "the stored bytes are not those that were sent")
    for name, count in Counter(file["filename"] for file in dump["files"]).items():
        if count > 1:
            yield Violation(rule, "doubled", name, f"one request made {count} files")
    for record in of_kind(history, "refused"):
        yield Violation(rule, "lost", record["key"], record["error"])
    answered = {record["key"] for record in of_kind(history, "stored", "acknowledged", "refused")}
    for record in of_kind(history, "attempted"):
        if record["key"] not in answered:
            yield Violation(rule, "lost", record["key"], "was never answered")


def ends(history: list[Record], dump: Dump) -> Iterator[Violation]:
    """Every job ends in exactly one terminal state, the right one, and stays there."""
    asked = {record["job"]: record for record in of_kind(history, "acknowledged")}
    told = {record["job"]: record["status"] for record in of_kind(history, "ended")}
    cancelled = {record["job"] for record in of_kind(history, "cancelled")}
    changes = of_relation(dump, "jobs")
    for job in dump["jobs"]:
        status, record = job["status"], asked.get(job["id"], {})
        yield from _ending(job, record)
        reached = [row["status"] for row in changes[job["id"]] if row["status"] != row["status_before"]]
        endings = [state for state in reached if state in TERMINAL]
        if len(endings) > 1 or (endings and reached[-1] != endings[0]):
            yield Violation("ends", "doubled", job["id"], f"went on after its end: {' → '.join(reached)}")
        if job["id"] in cancelled and status != "cancelled":
            yield Violation("ends", "lost", job["id"], f"its cancellation was acknowledged, and it has {status}")
        if told.get(job["id"], status) != status:
            yield Violation("ends", "doubled", job["id"], f"was told to be {told[job['id']]}, and is {status}")


def _ending(job: Record, asked: Record) -> Iterator[Violation]:
    status = job["status"]
    if status not in TERMINAL:
        yield Violation("ends", "lost", job["id"], f"never ended: {status}")
    elif status == "cancelled" and asked and not asked["cancels"]:
        yield Violation("ends", "lost", job["id"], "was cancelled, and nobody had asked for it")
    elif status == "failed":
        yield Violation("ends", "lost", job["id"], f"failed with {job['error']}")
    if job["faults"] > 3:
        yield Violation("ends", "late", job["id"], f"was tried again after {job['faults']} faults")


def artifacts(history: list[Record], dump: Dump) -> Iterator[Violation]:
    """A job that succeeded has exactly one set of artifacts, whole, of the attempt that succeeded; others have none."""
    files, attempts, models = by_job(dump["artifacts"]), by_job(dump["attempts"]), by_job(dump["models"])
    for job in dump["jobs"]:
        found = files[job["id"]]
        if job["status"] != "succeeded":
            if found:
                yield Violation("artifacts", "doubled", job["id"], f"is {job['status']} and has artifacts")
            continue
        folders = {row["key"].removesuffix(row["name"]) for row in found}
        winners = [row["token"] for row in attempts[job["id"]] if row["outcome"] == "succeeded"]
        tokens = [int(token) for folder in folders for token in re.findall(r"/attempts/(\d+)/", folder)]
        if not found:
            yield Violation("artifacts", "lost", job["id"], "succeeded without artifacts")
        elif len(folders) > 1 or len(winners) != 1 or tokens != winners:
            detail = f"artifacts of attempts {tokens}, and {winners} succeeded"
            yield Violation("artifacts", "doubled", job["id"], detail)
        if len([row for row in models[job["id"]] if row["step"] is None]) != 1:
            yield Violation("artifacts", "doubled", job["id"], "has not exactly one model")
        for folder in folders:
            yield from _whole("artifacts", job["id"], dump, folder, found)


def checkpoints(history: list[Record], dump: Dump) -> Iterator[Violation]:
    """What is visible is whole, from the moment at which it is visible."""
    for row in dump["checkpoints"]:
        yield from _whole("checkpoints", row["job"], dump, row["prefix"], row["manifest"])
    for record in of_kind(history, "visible"):
        if record["faults"]:
            detail = f"{record['id']} was visible and not whole: {'; '.join(record['faults'])}"
            yield Violation("checkpoints", "corrupt", record["job"], detail)


def _whole(rule: str, job: str, dump: Dump, folder: str, entries: list[Record]) -> Iterator[Violation]:
    for entry in entries:
        stored = dump["objects"].get(f"{folder}{entry['name']}")
        if stored != {"bytes": entry["bytes"], "sha256": entry["sha256"]}:
            yield Violation(rule, "corrupt", job, f"{folder}{entry['name']} is {stored or 'missing'}")
    told = {(entry["name"], entry["bytes"], entry["sha256"]) for entry in entries}
    beside = dump["manifests"].get(folder)
    if beside is None or {(entry["name"], entry["bytes"], entry["sha256"]) for entry in beside} != told:
        yield Violation(rule, "corrupt", job, f"the manifest of {folder} does not name what is there")


def leases(history: list[Record], dump: Dump) -> Iterator[Violation]:
    """At no instant do two attempts of a job hold a valid lease: none is taken away before it has expired."""
    outcomes = {row["token"]: row["outcome"] for row in dump["attempts"]}
    for job, rows in of_relation(dump, "jobs").items():
        last = 0
        for row in rows:
            before, token = row["token_before"], row["token"]
            if before == token:
                continue
            if before is not None and token is not None:
                yield Violation("leases", "doubled", job, f"attempt {token} began while {before} held the job")
            if token is not None and token <= last:
                yield Violation("leases", "doubled", job, f"token {token} was issued after {last}")
            left = (row["lease_before"] or 0) - row["transaction_at"]
            if before is not None and outcomes.get(before) == "lost" and left > 0:
                detail = f"attempt {before} was given up {left:.1f} s before its lease had expired"
                yield Violation("leases", "doubled", job, detail)
            last = token or last
    ended = {job["id"] for job in dump["jobs"] if job["status"] in TERMINAL}
    for row in dump["attempts"]:
        if row["outcome"] is None and row["job"] in ended:
            yield Violation("leases", "doubled", row["job"], f"has ended, and attempt {row['token']} has not")


def fence(history: list[Record], dump: Dump) -> Iterator[Violation]:
    """No write with an old token was accepted."""
    # The transaction that ends an attempt drops its token; what it wrote before was written under it.
    dropped: dict[tuple[str, int], set[int | None]] = defaultdict(set)
    for row in dump["audit"]:
        if row["relation"] == "jobs":
            dropped[row["job"], row["transaction_id"]].add(row["facts"]["token_before"])
    workers = {row["token"]: row["worker"].partition("@")[0] for row in dump["attempts"]}
    for row in dump["audit"]:
        facts, relation = row["facts"], row["relation"]
        holder = facts["token_before"] if relation == "jobs" else facts["holder"]
        held = {holder} if holder is not None else dropped[row["job"], row["transaction_id"]]
        if "token" in facts and relation != "jobs" and facts["token"] not in held:
            detail = f"attempt {facts['token']} wrote {relation} while {holder or 'nobody'} held the job"
            yield Violation("fence", "doubled", row["job"], detail)
        holders = {workers[token] for token in held if token in workers}
        if facts["writer"] in workers.values() and holders and facts["writer"] not in holders:
            detail = f"{facts['writer']} wrote {relation} while {', '.join(holders)} held the job"
            yield Violation("fence", "doubled", row["job"], detail)
    yield from _finishes(dump)


def _finishes(dump: Dump) -> Iterator[Violation]:
    outcomes = {row["token"]: row["outcome"] for row in dump["attempts"]}
    for job, rows in of_relation(dump, "jobs").items():
        for row in rows:
            ended = row["status"] == "succeeded" != row["status_before"]
            if ended and outcomes.get(row["token_before"]) != "succeeded":
                detail = f"was finished while attempt {row['token_before']} held it, which has not succeeded"
                yield Violation("fence", "doubled", job, detail)


def trainers(history: list[Record], dump: Dump) -> Iterator[Violation]:
    """No trainer outlives its supervisor, nor, for longer than it takes to notice, its fence."""
    # Other stacks of this machine may have trainers with the same tokens: those of other jobs are theirs.
    workers = {(row["job"], row["token"]): row["worker"].partition("@")[0] for row in dump["attempts"]}
    replaced = {
        row["facts"]["token_before"]: row["at"]
        for row in dump["audit"]
        if row["relation"] == "jobs" and row["facts"]["token_before"] not in (None, row["facts"]["token"])
    }
    injuries = sorted((record["began"], record["at"]) for record in of_kind(history, "injury"))
    owner: dict[tuple[int, int], int | None] = {}
    orphaned: dict[tuple[int, int], float] = {}
    found: dict[tuple[str, str], Violation] = {}
    for record in of_kind(history, "processes"):
        for pid, job, token in record["trainers"]:
            if (job, token) not in workers:
                continue
            supervisor = record["workers"].get(workers[job, token])
            if owner.setdefault((pid, token), supervisor) != supervisor:
                since = orphaned.setdefault((pid, token), record["at"])
                if record["at"] > since + AT_ONCE:
                    detail = f"trainer {pid} of attempt {token} has outlived its supervisor"
                    found[job, detail] = Violation("trainers", "doubled", job, detail)
            if token in replaced and record["at"] > _excused(replaced[token], injuries) + GRACE:
                detail = f"trainer {pid} of attempt {token} goes on without a fence"
                found[job, detail] = Violation("trainers", "doubled", job, detail)
    yield from found.values()


def _excused(since: float, injuries: list[tuple[float, float]]) -> float:
    """From when on a supervisor must have noticed: an injury that was under way may have kept it from that."""
    return max([since, *(ended for began, ended in injuries if began <= since + GRACE and ended > since)])


def events(history: list[Record], dump: Dump) -> Iterator[Violation]:
    """The events of a job are numbered from 1 without gaps, in the order in which they were written."""
    written, audited = by_job(dump["events"]), of_relation(dump, "events")
    for job in dump["jobs"]:
        rows = sorted(written[job["id"]], key=lambda row: row["seq"])
        numbers = [row["seq"] for row in rows]
        yield from _numbering("events", job["id"], numbers, last=job["event_seq"])
        if any(earlier["created"] > later["created"] for earlier, later in pairwise(rows)):
            yield Violation("events", "doubled", job["id"], "events were not written in the order of their numbers")
        for earlier, later in pairwise(audited[job["id"]]):
            if later["first"] != earlier["last"] + 1:
                detail = f"event {later['first']} was accepted right after {earlier['last']}"
                yield Violation("events", "lost", job["id"], detail)


def _numbering(rule: str, job: str, numbers: list[int], *, last: int | None) -> Iterator[Violation]:
    missing = sorted(set(range(1, max(numbers, default=0) + 1)) - set(numbers))
    if missing:
        yield Violation(rule, "lost", job, f"events {missing[:5]} are missing")
    if len(set(numbers)) < len(numbers) or numbers != sorted(numbers):
        yield Violation(rule, "doubled", job, "events come twice or out of order")
    if last is not None and max(numbers, default=0) != last:
        yield Violation(rule, "lost", job, f"the last event is {max(numbers, default=0)}, not {last}")


def streams(history: list[Record], dump: Dump) -> Iterator[Violation]:
    """Every listener has had every event, once and in order, across reconnections and the deaths of replicas."""
    heard, written = by_job(of_kind(history, "event")), by_job(dump["events"])
    ended = {record["job"] for record in of_kind(history, "heard")}
    last = {job["id"]: job["event_seq"] for job in dump["jobs"]}
    for record in of_kind(history, "acknowledged"):
        if record["job"] not in ended:
            yield Violation("streams", "lost", record["job"], "its listener has not come to an end")
    for job in {*heard, *ended}:
        numbers = [record["seq"] for record in heard[job]]
        yield from _numbering("streams", job, numbers, last=last.get(job) if job in ended else None)
        ids = {row["seq"]: row["id"] for row in written[job]}
        changed = [record["seq"] for record in heard[job] if ids.get(record["seq"]) != record["id"]]
        if changed:
            yield Violation("streams", "corrupt", job, f"events {changed[:5]} were told that are not there now")


def counts(history: list[Record], dump: Dump) -> Iterator[Violation]:
    """Steps and trained tokens are counted once, and at most a checkpoint's interval of them was done twice."""
    measured, audited = by_job(dump["metrics"]), of_relation(dump, "metrics")
    model = _undisturbed(history, dump)
    for record in of_kind(history, "acknowledged"):
        job = next((job for job in dump["jobs"] if job["id"] == record["job"]), None)
        if job is None:
            continue
        reached = 0
        for one, rows in _attempts(audited[job["id"]]):
            first = rows[0]["first"]
            if any(later["first"] <= earlier["last"] for earlier, later in pairwise(rows)):
                yield Violation("counts", "doubled", job["id"], f"attempt {one} reported a step twice")
            if reached - first + 1 > record["interval"]:
                detail = f"attempt {one} did {reached - first + 1} steps again, more than {record['interval']}"
                yield Violation("counts", "lost", job["id"], detail)
            reached = max(reached, rows[-1]["last"])
        like = model.get(record["method"])
        if job["status"] != "succeeded" or like is None:
            continue
        steps = [row["step"] for row in measured[job["id"]]]
        if steps != list(range(1, job["total_steps"] + 1)):
            yield Violation("counts", "lost", job["id"], f"{len(steps)} steps of {job['total_steps']} have figures")
        if job["trained_tokens"] != like["trained_tokens"]:
            detail = f"{job['trained_tokens']} trained tokens, undisturbed {like['trained_tokens']}"
            yield Violation("counts", "doubled", job["id"], detail)
        if [row["loss"] for row in measured[job["id"]]] != [row["loss"] for row in measured[like["id"]]]:
            yield Violation("counts", "corrupt", job["id"], "its losses are not those of the undisturbed run")


def _attempts(rows: list[Record]) -> list[tuple[int, list[Record]]]:
    """The figures of a job by the attempt that reported them, in the order of the attempts."""
    found: dict[int, list[Record]] = defaultdict(list)
    for row in rows:
        found[row["token"]].append(row)
    return sorted(found.items())


def _undisturbed(history: list[Record], dump: Dump) -> dict[str, Record]:
    """By method, the job that ran before the first fault."""
    jobs = {job["id"]: job for job in dump["jobs"]}
    quiet = [record for record in of_kind(history, "acknowledged") if record["fault"] == 0 and record["job"] in jobs]
    return {record["method"]: jobs[record["job"]] for record in quiet}


def same_bytes(history: list[Record], dump: Dump) -> Iterator[Violation]:
    """The weights of a disturbed run have the SHA-256 of the undisturbed one's, and arrive so."""
    digests = {row["job"]: row["sha256"] for row in dump["artifacts"] if row["name"] in WEIGHTS}
    model = _undisturbed(history, dump)
    for record in of_kind(history, "acknowledged"):
        like = model.get(record["method"])
        if like is None or record["job"] not in digests or like["id"] not in digests:
            continue
        if digests[record["job"]] != digests[like["id"]]:
            yield Violation("same bytes", "corrupt", record["job"], "its weights are not those of the undisturbed run")
    fetched = {record["job"] for record in of_kind(history, "fetched")}
    asked = {record["job"] for record in of_kind(history, "acknowledged")}
    for job in dump["jobs"]:
        if job["status"] == "succeeded" and job["id"] in asked - fetched:
            yield Violation("same bytes", "lost", job["id"], "its weights have not arrived")
    for record in of_kind(history, "fetched"):
        if record["sha256"] != digests.get(record["job"]):
            yield Violation("same bytes", "corrupt", record["job"], "other bytes were fetched than were stored")


def drains(history: list[Record], dump: Dump) -> Iterator[Violation]:
    """What a worker had in hand that was asked to leave is handed on, and nobody's fault."""
    for record in of_kind(history, "injury"):
        for row in dump["attempts"]:
            during = row["ended"] is not None and record["began"] <= row["ended"] <= record["at"]
            if during and row["worker"] == record.get("drained") and row["outcome"] not in HANDED_ON:
                detail = f"attempt {row['token']} of a worker that was asked to leave ended as {row['outcome']}"
                yield Violation("drains", "lost", row["job"], detail)
    drained = {row["token"] for row in dump["attempts"] if row["outcome"] == "drained"}
    for job, rows in of_relation(dump, "metrics").items():
        for (one, before), (_, after) in pairwise(_attempts(rows)):
            again = before[-1]["last"] - after[0]["first"] + 1
            if one in drained and again > 0:
                yield Violation(
                    "drains", "lost", job, f"{again} steps of attempt {one}, which left in order, done again"
                )


def disks(history: list[Record], dump: Dump) -> Iterator[Violation]:
    """Killed workers and trainers leave nothing on a disk for good."""
    for record in of_kind(history, "remains"):
        yield Violation("disks", "late", record["path"], "is still there, and nobody works in it")


def processes(history: list[Record], dump: Dump) -> Iterator[Violation]:
    """A process of ours ends when somebody ends it, and not by itself."""
    for record in of_kind(history, "died"):
        yield Violation("processes", "lost", f"fault {record['fault']}", f"{record['name']} {record['how']}")


def recovery(history: list[Record], dump: Dump) -> Iterator[Violation]:
    """After a fault work goes on in time, and new work runs."""
    allowed = {record["fault"]: record["recovers"] for record in of_kind(history, "fault")}
    for fault, job, seconds in recoveries(history, dump):
        if seconds > allowed.get(fault, float("inf")):
            yield Violation("recovery", "late", job, f"went on {seconds:.1f} s after a fault, not in {allowed[fault]}")
    for record in of_kind(history, "stuck"):
        yield Violation("recovery", "lost", f"fault {record['fault']}", record["what"])


def witnessed(history: list[Record], dump: Dump) -> Iterator[Violation]:
    """Whoever looked around was there all the time: what nobody has seen is not judged well."""
    seen = {record["id"] for record in of_kind(history, "visible")}
    for row in [*dump["checkpoints"], *dump["artifacts"]]:
        if row["id"] not in seen:
            yield Violation("witnessed", "lost", row["job"], f"nobody has looked at {row['id']}")
    looks = [record["at"] for record in of_kind(history, "processes")]
    if not looks:
        yield Violation("witnessed", "lost", "processes", "nobody has looked")
    for earlier, later in pairwise(looks):
        if later - earlier > LONGEST_LOOK:
            yield Violation("witnessed", "lost", "processes", f"nobody has looked for {later - earlier:.0f} s")


Rule = Callable[[list[Record], Dump], Iterator[Violation]]
RULES: tuple[Rule, ...] = (
    acknowledged,
    ends,
    artifacts,
    checkpoints,
    leases,
    fence,
    trainers,
    events,
    streams,
    counts,
    same_bytes,
    drains,
    disks,
    processes,
    witnessed,
    recovery,
)
