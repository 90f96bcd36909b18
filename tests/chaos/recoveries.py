"""How long work took to go on after something was broken, as a recorded history shows it."""

from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, takewhile
from math import inf

from tests.chaos.history import TERMINAL, Dump, Record, of_kind, of_relation


@dataclass(frozen=True)
class Span:
    """From when until when; `ended` is not in it any more."""

    began: float
    ended: float
    job: str = ""


def recoveries(history: list[Record], dump: Dump) -> Iterator[tuple[int, str, float]]:
    """(fault, job, seconds) of every job that was held when an injury began, or, where that is about the queue, waited
    in it: until a later attempt held it, its attempt trained on, or it had ended.

    The seconds count from the end of that injury, or of the last one in between that hit this job or a whole service,
    without those in which the job was queued and other jobs had every slot: that is queueing.
    """
    changes, trained = of_relation(dump, "jobs"), of_relation(dump, "metrics")
    injuries, held = of_kind(history, "injury"), _held(history, dump)
    for record in injuries:
        for job, rows in changes.items():
            before = [row for row in rows if row["at"] < record["began"]]
            if record.get("job", job) != job or not before:
                continue
            waits = record.get("queued", False) and before[-1]["status"] == "queued"
            if before[-1]["token"] is None and not waits:
                continue
            token, healed = before[-1]["token"] or 0, record["at"]
            again = [row["at"] for row in rows if (row["token"] or 0) > token or row["status"] in TERMINAL]
            again += [row["at"] for row in trained[job] if row["token"] == token and _lived_on(dump, token)]
            since = [at for at in again if at >= healed]
            if since:
                ends = [r["at"] for r in injuries if r.get("job", job) == job and r["at"] <= min(since)]
                began, ended = max(ends), min(since)
                others = [[span for span in spans if span.job != job] for spans in held.values()]
                yield record["fault"], job, ended - began - _seconds_of_all(began, ended, [_queued(rows), *others])


def _held(history: list[Record], dump: Dump) -> dict[str, list[Span]]:
    """By each worker that was ever seen, when which job was in its slot; here each has one.

    An attempt leaves it with its token, or earlier with its worker: what a dead one still holds keeps nobody waiting.
    """
    looks = sorted(of_kind(history, "processes"), key=lambda look: look["at"])
    times = [record["at"] for record in looks]
    held: dict[str, list[Span]] = {name: [] for record in looks for name in record["workers"]}
    workers = {row["token"]: row["worker"].partition("@")[0] for row in dump["attempts"]}
    for job, rows in of_relation(dump, "jobs").items():
        changes = [row for row in rows if row["token"] != row["token_before"]]
        for row, following in pairwise([*changes, {"at": inf}]):
            name, began, ended = workers.get(row["token"], ""), row["at"], following["at"]
            if name not in held:
                continue
            alive = looks[max(bisect(times, began) - 1, 0) : bisect(times, ended)]
            pids = [look["workers"].get(name) for look in alive]
            lived = [*takewhile(lambda pid, pids=pids: pid is not None and pid == pids[0], pids)]
            if lived and len(lived) < len(pids):
                ended = max(began, alive[len(lived) - 1]["at"])
            held[name].append(Span(began, ended if lived else began, job))
    return held


def _queued(rows: list[Record]) -> list[Span]:
    """When a job waited for a slot."""
    last = {"at": inf}
    return [Span(row["at"], following["at"]) for row, following in pairwise([*rows, last]) if row["status"] == "queued"]


def _seconds_of_all(began: float, ended: float, lanes: list[list[Span]]) -> float:
    """For how long in that time each of the lanes had a span."""
    edges = {at for lane in lanes for span in lane for at in (span.began, span.ended) if began < at < ended}
    pieces = pairwise(sorted({began, ended, *edges}))
    return sum(
        later - earlier
        for earlier, later in pieces
        if len(lanes) > 1 and all(any(s.began <= earlier and later <= s.ended for s in lane) for lane in lanes)
    )


def _lived_on(dump: Dump, token: int) -> bool:
    return any(row["token"] == token and row["outcome"] not in ("lost", "fault") for row in dump["attempts"])
